/// How far a long task is.
public struct Progress: Sendable {
  /// What is being done, for a person: `epoch 2/3`.
  public let task: String
  /// Units done and, where known, units in all.
  public let completed: Int
  public let total: Int?
  /// A short remark on the current state: `loss 0.412`.
  public let remark: String?

  public init(_ task: String, completed: Int, total: Int? = nil, remark: String? = nil) {
    self.task = task
    self.completed = completed
    self.total = total
    self.remark = remark
  }

  /// Receives progress as it happens, on the thread that does the work. Long tasks throw
  /// `CancellationError` out of it to stop in a defined place.
  public typealias Handler = @Sendable (Progress) throws -> Void
}
