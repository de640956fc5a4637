// SPDX-License-Identifier: Apache-2.0

public import SwiftletBLAS
public import SwiftletKernels

/// An element type that layers compute in: `Float`, or `Double` for gradient checks.
public protocol LayerElement: BLASElement, KernelElement {}

extension Float: LayerElement {}
extension Double: LayerElement {}
