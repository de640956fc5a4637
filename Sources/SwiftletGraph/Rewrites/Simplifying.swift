// SPDX-License-Identifier: Apache-2.0

extension Graph {
  /// The same model with fewer nodes: constants computed, stored weights restored if used in fp32,
  /// nodes without effect removed, `BatchNormalization` folded into the preceding layer.
  ///
  /// Results differ from the original's only by rounding. Use it for deployment; further training
  /// needs the `BatchNormalization`.
  public func simplified() -> Graph {
    restoringWeights().foldingConstants().removingIdentities().foldingBatchNormalization()
      .foldingConstants()
  }
}
