// SPDX-License-Identifier: Apache-2.0

// Functions have their names in C.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

public import CSwiftletABI
import SwiftletBLAS
import SwiftletCore
import SwiftletLinalg

@c @implementation
public func swiftlet_svd_f32(
  _ m: Int64, _ n: Int64, _ a: UnsafePointer<Float>?, _ lda: Int64,
  _ s: UnsafeMutablePointer<Float>?, _ u: UnsafeMutablePointer<Float>?, _ ldu: Int64,
  _ vt: UnsafeMutablePointer<Float>?, _ ldvt: Int64, _ threads: Int32
) -> swiftlet_status { unsafe svd(m, n, a, lda, s, u, ldu, vt, ldvt, threads) }

@c @implementation
public func swiftlet_svd_f64(
  _ m: Int64, _ n: Int64, _ a: UnsafePointer<Double>?, _ lda: Int64,
  _ s: UnsafeMutablePointer<Double>?, _ u: UnsafeMutablePointer<Double>?, _ ldu: Int64,
  _ vt: UnsafeMutablePointer<Double>?, _ ldvt: Int64, _ threads: Int32
) -> swiftlet_status { unsafe svd(m, n, a, lda, s, u, ldu, vt, ldvt, threads) }

private func svd<T: BLASElement>(
  _ m: Int64, _ n: Int64, _ a: UnsafePointer<T>?, _ lda: Int64, _ s: UnsafeMutablePointer<T>?,
  _ u: UnsafeMutablePointer<T>?, _ ldu: Int64, _ vt: UnsafeMutablePointer<T>?, _ ldvt: Int64,
  _ threads: Int32
) -> swiftlet_status {
  call {
    let (m, n) = try (Arguments.extent(m, "m"), Arguments.extent(n, "n"))
    let a = try unsafe Matrix(a, "a", rows: m, columns: n, leading: lda)
    let threads = try Arguments.threads(threads)
    let values = try unsafe row(s, "s", count: min(m, n))
    try values.requireApart(from: a)
    guard unsafe u != nil || vt != nil else {
      let found = try withBorrowed(a) { try SVD<T>.values(of: $0, threads: threads) }
      return values.assign(Tensor([1, found.count], found))
    }
    let factors = try unsafe Factors(u, ldu, vt, ldvt, m, n, rank: min(m, n), values, apartFrom: a)
    factors.assign(try withBorrowed(a) { try SVD($0, threads: threads) })
  }
}

@c @implementation
public func swiftlet_randomized_svd_f32(
  _ m: Int64, _ n: Int64, _ a: UnsafePointer<Float>?, _ lda: Int64, _ rank: Int64,
  _ oversampling: Int64, _ powerIterations: Int64, _ seed: UInt64,
  _ s: UnsafeMutablePointer<Float>?, _ u: UnsafeMutablePointer<Float>?, _ ldu: Int64,
  _ vt: UnsafeMutablePointer<Float>?, _ ldvt: Int64, _ threads: Int32
) -> swiftlet_status {
  unsafe randomizedSVD(
    m, n, a, lda, rank, oversampling, powerIterations, seed, s, u, ldu, vt, ldvt, threads)
}

@c @implementation
public func swiftlet_randomized_svd_f64(
  _ m: Int64, _ n: Int64, _ a: UnsafePointer<Double>?, _ lda: Int64, _ rank: Int64,
  _ oversampling: Int64, _ powerIterations: Int64, _ seed: UInt64,
  _ s: UnsafeMutablePointer<Double>?, _ u: UnsafeMutablePointer<Double>?, _ ldu: Int64,
  _ vt: UnsafeMutablePointer<Double>?, _ ldvt: Int64, _ threads: Int32
) -> swiftlet_status {
  unsafe randomizedSVD(
    m, n, a, lda, rank, oversampling, powerIterations, seed, s, u, ldu, vt, ldvt, threads)
}

private func randomizedSVD<T: BLASElement>(
  _ m: Int64, _ n: Int64, _ a: UnsafePointer<T>?, _ lda: Int64, _ rank: Int64,
  _ oversampling: Int64, _ powerIterations: Int64, _ seed: UInt64,
  _ s: UnsafeMutablePointer<T>?, _ u: UnsafeMutablePointer<T>?, _ ldu: Int64,
  _ vt: UnsafeMutablePointer<T>?, _ ldvt: Int64, _ threads: Int32
) -> swiftlet_status {
  call {
    let (m, n) = try (Arguments.extent(m, "m"), Arguments.extent(n, "n"))
    let a = try unsafe Matrix(a, "a", rows: m, columns: n, leading: lda)
    let threads = try Arguments.threads(threads)
    guard rank >= 1, rank <= min(m, n) else {
      throw Refusal.usage("rank is \(rank) for a \(m)×\(n) matrix", fix: "use 1 to \(min(m, n))")
    }
    let method = RandomizedSVD(
      oversampling: try Arguments.extent(oversampling, "oversampling"),
      powerIterations: try Arguments.extent(powerIterations, "power_iterations", in: 0...1000),
      seed: seed)
    let values = try unsafe row(s, "s", count: Int(rank))
    try values.requireApart(from: a)
    let factors = try unsafe Factors(u, ldu, vt, ldvt, m, n, rank: Int(rank), values, apartFrom: a)
    factors.assign(
      try withBorrowed(a) { try method.svd($0, rank: Int(rank), threads: threads) })
  }
}

/// The destination of a singular value decomposition.
private struct Factors<T: BLASElement> {
  private let values, u, vt: Matrix<T>

  init(
    _ u: UnsafeMutablePointer<T>?, _ ldu: Int64, _ vt: UnsafeMutablePointer<T>?, _ ldvt: Int64,
    _ m: Int, _ n: Int, rank: Int, _ values: Matrix<T>, apartFrom a: Matrix<T>
  ) throws {
    self.values = values
    self.u = try unsafe Matrix(u, "u", rows: m, columns: rank, leading: ldu)
    self.vt = try unsafe Matrix(vt, "vt", rows: rank, columns: n, leading: ldvt)
    for matrix in [self.u, self.vt] {
      try matrix.requireApart(from: a)
      try matrix.requireApart(from: values)
    }
    try self.u.requireApart(from: self.vt)
  }

  func assign(_ svd: SVD<T>) {
    values.assign(Tensor([1, svd.singularValues.count], svd.singularValues))
    u.assign(svd.u)
    vt.assign(svd.vt)
  }
}

@c @implementation
public func swiftlet_eigh_f32(
  _ n: Int64, _ a: UnsafePointer<Float>?, _ lda: Int64, _ values: UnsafeMutablePointer<Float>?,
  _ vectors: UnsafeMutablePointer<Float>?, _ ldv: Int64, _ threads: Int32
) -> swiftlet_status { unsafe eigh(n, a, lda, values, vectors, ldv, threads) }

@c @implementation
public func swiftlet_eigh_f64(
  _ n: Int64, _ a: UnsafePointer<Double>?, _ lda: Int64, _ values: UnsafeMutablePointer<Double>?,
  _ vectors: UnsafeMutablePointer<Double>?, _ ldv: Int64, _ threads: Int32
) -> swiftlet_status { unsafe eigh(n, a, lda, values, vectors, ldv, threads) }

private func eigh<T: BLASElement>(
  _ n: Int64, _ a: UnsafePointer<T>?, _ lda: Int64, _ values: UnsafeMutablePointer<T>?,
  _ vectors: UnsafeMutablePointer<T>?, _ ldv: Int64, _ threads: Int32
) -> swiftlet_status {
  call {
    let n = try Arguments.extent(n, "n")
    let a = try unsafe Matrix(a, "a", rows: n, columns: n, leading: lda)
    let threads = try Arguments.threads(threads)
    let target = try unsafe row(values, "values", count: n)
    try target.requireApart(from: a)
    let basis = try unsafe vectors.map {
      try unsafe Matrix($0, "vectors", rows: n, columns: n, leading: ldv)
    }
    try basis?.requireApart(from: a)
    try basis?.requireApart(from: target)
    guard let basis else {
      let found = try withBorrowed(a) { try SymmetricEigen.values(of: $0, threads: threads) }
      return target.assign(Tensor([1, n], found))
    }
    let eigen = try withBorrowed(a) { try SymmetricEigen($0, threads: threads) }
    target.assign(Tensor([1, n], eigen.values))
    basis.assign(eigen.vectors)
  }
}

@c @implementation
public func swiftlet_qr_f32(
  _ m: Int64, _ n: Int64, _ a: UnsafePointer<Float>?, _ lda: Int64,
  _ q: UnsafeMutablePointer<Float>?, _ ldq: Int64, _ r: UnsafeMutablePointer<Float>?,
  _ ldr: Int64, _ threads: Int32
) -> swiftlet_status { unsafe qr(m, n, a, lda, q, ldq, r, ldr, threads) }

@c @implementation
public func swiftlet_qr_f64(
  _ m: Int64, _ n: Int64, _ a: UnsafePointer<Double>?, _ lda: Int64,
  _ q: UnsafeMutablePointer<Double>?, _ ldq: Int64, _ r: UnsafeMutablePointer<Double>?,
  _ ldr: Int64, _ threads: Int32
) -> swiftlet_status { unsafe qr(m, n, a, lda, q, ldq, r, ldr, threads) }

private func qr<T: BLASElement>(
  _ m: Int64, _ n: Int64, _ a: UnsafePointer<T>?, _ lda: Int64, _ q: UnsafeMutablePointer<T>?,
  _ ldq: Int64, _ r: UnsafeMutablePointer<T>?, _ ldr: Int64, _ threads: Int32
) -> swiftlet_status {
  call {
    let (m, n) = try (Arguments.extent(m, "m"), Arguments.extent(n, "n"))
    let a = try unsafe Matrix(a, "a", rows: m, columns: n, leading: lda)
    let q = try unsafe Matrix(q, "q", rows: m, columns: min(m, n), leading: ldq)
    let r = try unsafe Matrix(r, "r", rows: min(m, n), columns: n, leading: ldr)
    let threads = try Arguments.threads(threads)
    try q.requireApart(from: a)
    try r.requireApart(from: a)
    try q.requireApart(from: r)
    let factors = try withBorrowed(a) { try QR($0, threads: threads) }
    q.assign(factors.q)
    r.assign(factors.r)
  }
}

/// Lends a matrix as a tensor with two holders, so that nobody writes to the caller's memory.
private func withBorrowed<T: BLASElement, R>(
  _ matrix: Matrix<T>, _ body: (Tensor<T>) throws -> R
) throws -> R {
  let tensor = try matrix.borrowed()
  return try withExtendedLifetime(tensor) { try body(tensor) }
}
