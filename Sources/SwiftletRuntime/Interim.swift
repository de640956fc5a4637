import SwiftletKernels
extension PointwiseKernel {
  func clipF32(count: Int, _ a: UnsafeRawPointer, low: Float, high: Float, to y: UnsafeMutableRawPointer) {
    let (a, y) = unsafe (a.assumingMemoryBound(to: Float.self), y.assumingMemoryBound(to: Float.self))
    for i in 0..<count {
      let v = unsafe a[i]
      unsafe y[i] = v < low ? low : v > high ? high : v
    }
  }
}
