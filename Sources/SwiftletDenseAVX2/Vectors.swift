// SPDX-License-Identifier: Apache-2.0

@inline(__always)
func dot<T: Lane>(_ n: Int, _ x: UnsafePointer<T>, _ y: UnsafePointer<T>) -> T {
  typealias V = T.Vector
  let lanes = V.scalarCount
  var s0 = V()
  var s1 = V()
  var s2 = V()
  var s3 = V()
  var i = 0
  while i &+ 4 &* lanes <= n {
    unsafe s0.accumulate(V(at: x + i), V(at: y + i))
    unsafe s1.accumulate(V(at: x + i + lanes), V(at: y + i + lanes))
    unsafe s2.accumulate(V(at: x + i + 2 &* lanes), V(at: y + i + 2 &* lanes))
    unsafe s3.accumulate(V(at: x + i + 3 &* lanes), V(at: y + i + 3 &* lanes))
    i &+= 4 &* lanes
  }
  var sum = (s0 + s1 + (s2 + s3)).sum()
  while i < n {
    unsafe sum += x[i] * y[i]
    i &+= 1
  }
  return sum
}

@inline(__always)
func axpy<T: Lane>(_ n: Int, _ alpha: T, _ x: UnsafePointer<T>, _ y: UnsafeMutablePointer<T>) {
  typealias V = T.Vector
  let factor = V(repeating: alpha)
  var i = 0
  while i &+ V.scalarCount <= n {
    var v = unsafe V(at: y + i)
    unsafe v.accumulate(factor, V(at: x + i))
    unsafe v.store(to: y + i)
    i &+= V.scalarCount
  }
  while i < n {
    unsafe y[i] += alpha * x[i]
    i &+= 1
  }
}

@inline(__always)
func rotate<T: Lane>(
  _ n: Int, _ c: T, _ s: T, _ x: UnsafeMutablePointer<T>, _ y: UnsafeMutablePointer<T>
) {
  typealias V = T.Vector
  let (cosine, sine) = (V(repeating: c), V(repeating: s))
  var i = 0
  while i &+ V.scalarCount <= n {
    let u = unsafe V(at: x + i)
    let v = unsafe V(at: y + i)
    unsafe (cosine * u + sine * v).store(to: x + i)
    unsafe (cosine * v - sine * u).store(to: y + i)
    i &+= V.scalarCount
  }
  while i < n {
    let (u, v) = unsafe (x[i], y[i])
    unsafe x[i] = c * u + s * v
    unsafe y[i] = c * v - s * u
    i &+= 1
  }
}

@inline(__always)
func rotateScaled<T: Lane>(
  _ n: Int, _ delta: T, _ p: T, _ q: T, _ x: UnsafeMutablePointer<T>, _ y: UnsafeMutablePointer<T>
) {
  typealias V = T.Vector
  let (rest, toX, toY) = (V(repeating: delta), V(repeating: p), V(repeating: -q))
  var i = 0
  while i &+ V.scalarCount <= n {
    let u = unsafe V(at: x + i)
    let v = unsafe V(at: y + i)
    var (fromX, fromY) = (rest * u, rest * v)
    fromX.accumulate(toX, v)
    fromY.accumulate(toY, u)
    unsafe (u - fromX).store(to: x + i)
    unsafe (v - fromY).store(to: y + i)
    i &+= V.scalarCount
  }
  while i < n {
    let (u, v) = unsafe (x[i], y[i])
    unsafe x[i] = u - (delta * u + p * v)
    unsafe y[i] = v - (delta * v - q * u)
    i &+= 1
  }
}

@inline(__always)
func secular<T: Lane>(
  _ n: Int, _ gap: UnsafePointer<T>, _ sum: UnsafePointer<T>?, _ z2: UnsafePointer<T>, _ t: T
) -> (value: T, slope: T) {
  typealias V = T.Vector
  let shift = V(repeating: t)
  var values = V()
  var slopes = V()
  var i = 0
  while i &+ V.scalarCount <= n {
    var delta = unsafe V(at: gap + i) - shift
    if let sum = unsafe sum { unsafe delta = delta * (V(at: sum + i) + shift) }
    let term = unsafe V(at: z2 + i) / delta
    values = values + term
    slopes = slopes + term / delta
    i &+= V.scalarCount
  }
  var (value, slope) = (values.sum(), slopes.sum())
  while i < n {
    var delta = unsafe gap[i] - t
    if let sum = unsafe sum { unsafe delta *= sum[i] + t }
    let term = unsafe z2[i] / delta
    value += term
    slope += term / delta
    i &+= 1
  }
  return (value, slope)
}
