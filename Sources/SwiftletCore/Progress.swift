// SPDX-License-Identifier: Apache-2.0

/// The progress of a long task.
public struct Progress: Sendable {
  /// The current activity, for display: `epoch 2/3`.
  public let task: String
  /// Completed units and, if known, the total.
  public let completed: Int
  /// Units in all; `nil` where that is not known.
  public let total: Int?
  /// A short remark on the current state: `loss 0.412`.
  public let remark: String?

  /// A report of `completed` units out of `total`.
  public init(_ task: String, completed: Int, total: Int? = nil, remark: String? = nil) {
    self.task = task
    self.completed = completed
    self.total = total
    self.remark = remark
  }

  /// Receives progress on the thread that does the work. To stop a long task at a defined point,
  /// throw `CancellationError`.
  public typealias Handler = @Sendable (Progress) throws -> Void
}
