// SPDX-License-Identifier: Apache-2.0

extension ResamplingWeights {
  private static let half: Int32 = 1 << Int32(fractionBits - 1)

  /// Makes one row of the result of one row of the picture.
  func resampleRow(
    _ source: UnsafePointer<UInt8>, _ target: UnsafeMutablePointer<UInt8>,
    _ channels: Image.Channels
  ) {
    switch channels {
    case .grey: unsafe resampleGreyRow(source, target)
    case .rgb: unsafe resampleRGBRow(source, target)
    case .rgba: unsafe resampleRGBARow(source, target)
    }
  }

  private func resampleGreyRow(
    _ source: UnsafePointer<UInt8>, _ target: UnsafeMutablePointer<UInt8>
  ) {
    unsafe forEachWindow { place, start, count, weights in
      var sum = Self.half
      for i in 0..<count { unsafe sum &+= Int32(source[start + i]) &* weights[i] }
      unsafe target[place] = Self.clamped(sum)
    }
  }

  private func resampleRGBRow(
    _ source: UnsafePointer<UInt8>, _ target: UnsafeMutablePointer<UInt8>
  ) {
    unsafe forEachWindow { place, start, count, weights in
      var (red, green, blue) = (Self.half, Self.half, Self.half)
      var pixel = unsafe source + 3 * start
      for i in 0..<count {
        let weight = unsafe weights[i]
        unsafe red &+= Int32(pixel[0]) &* weight
        unsafe green &+= Int32(pixel[1]) &* weight
        unsafe blue &+= Int32(pixel[2]) &* weight
        unsafe pixel += 3
      }
      let out = unsafe target + 3 * place
      unsafe out[0] = Self.clamped(red)
      unsafe out[1] = Self.clamped(green)
      unsafe out[2] = Self.clamped(blue)
    }
  }

  private func resampleRGBARow(
    _ source: UnsafePointer<UInt8>, _ target: UnsafeMutablePointer<UInt8>
  ) {
    unsafe forEachWindow { place, start, count, weights in
      for c in 0..<4 {
        var sum = Self.half
        for i in 0..<count { unsafe sum &+= Int32(source[4 * (start + i) + c]) &* weights[i] }
        unsafe target[4 * place + c] = Self.clamped(sum)
      }
    }
  }

  @inline(__always)
  private func forEachWindow(
    _ body: (_ place: Int, _ start: Int, _ count: Int, _ weights: UnsafePointer<Int32>) -> Void
  ) {
    unsafe weights.withUnsafeBufferPointer { weights in
      for place in starts.indices {
        unsafe body(place, starts[place], counts[place], weights.baseAddress! + place * stride)
      }
    }
  }

  /// Makes row `place` of the result of the rows of its window, the first of which is `source`; all
  /// rows have `length` bytes.
  func combineRows(
    _ source: UnsafePointer<UInt8>, _ place: Int, _ target: UnsafeMutablePointer<UInt8>,
    _ length: Int
  ) {
    let count = counts[place]
    unsafe weights.withUnsafeBufferPointer { all in
      let weights = unsafe all.baseAddress! + place * stride
      var x = 0
      while x + 16 <= length {
        var sum = SIMD16<Int32>(repeating: Self.half)
        for i in 0..<count {
          let pixels = unsafe UnsafeRawPointer(source + i * length + x)
            .loadUnaligned(as: SIMD16<UInt8>.self)
          unsafe sum &+= SIMD16<Int32>(truncatingIfNeeded: pixels) &* weights[i]
        }
        let bytes = (sum &>> Int32(Self.fractionBits)).clamped(
          lowerBound: SIMD16(repeating: 0), upperBound: SIMD16(repeating: 255))
        unsafe UnsafeMutableRawPointer(target + x)
          .storeBytes(of: SIMD16<UInt8>(truncatingIfNeeded: bytes), as: SIMD16<UInt8>.self)
        x += 16
      }
      while x < length {
        var sum = Self.half
        for i in 0..<count { unsafe sum &+= Int32(source[i * length + x]) &* weights[i] }
        unsafe target[x] = Self.clamped(sum)
        x += 1
      }
    }
  }

  @inline(__always)
  private static func clamped(_ sum: Int32) -> UInt8 {
    UInt8(truncatingIfNeeded: max(0, min(255, sum >> Int32(fractionBits))))
  }
}
