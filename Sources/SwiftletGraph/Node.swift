/// One application of an operator: named values in, named values out.
public struct Node: Sendable, Equatable {
  public var name: String
  /// The ONNX operator name, such as `Conv`.
  public var opType: String
  /// The operator set it is from; empty for ONNX's own.
  public var domain: String
  /// Names of the inputs; an empty name stands for an optional input that is left out.
  public var inputs: [String]
  public var outputs: [String]
  public var attributes: [String: Attribute]

  public init(
    _ opType: String, name: String, domain: String = "", inputs: [String], outputs: [String],
    attributes: [String: Attribute] = [:]
  ) {
    self.name = name
    self.opType = opType
    self.domain = domain
    self.inputs = inputs
    self.outputs = outputs
    self.attributes = attributes
  }

  /// `Conv 'layer1'`, for messages.
  public var label: String { name.isEmpty ? opType : "\(opType) '\(name)'" }
}
