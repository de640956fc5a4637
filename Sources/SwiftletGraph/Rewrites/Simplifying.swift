extension Graph {
  /// The same model with fewer nodes: constants computed, stored weights restored where they are
  /// computed with in fp32, nodes without effect removed, `BatchNormalization` folded into the layer
  /// before it.
  ///
  /// Results differ from the original's by rounding only. Run it on a model that is to be deployed;
  /// one that is trained further needs its `BatchNormalization`.
  public func simplified() -> Graph {
    restoringWeights().foldingConstants().removingIdentities().foldingBatchNormalization()
      .foldingConstants()
  }
}
