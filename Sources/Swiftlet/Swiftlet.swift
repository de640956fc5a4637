// SPDX-License-Identifier: Apache-2.0

@_exported public import SwiftletBLAS
@_exported public import SwiftletCharts
@_exported public import SwiftletCompress
@_exported public import SwiftletCore
@_exported public import SwiftletData
@_exported public import SwiftletFiles
@_exported public import SwiftletFormats
@_exported public import SwiftletGraph
@_exported public import SwiftletImages
@_exported public import SwiftletKernels
@_exported public import SwiftletLinalg
@_exported public import SwiftletRuntime
@_exported public import SwiftletTraining
