// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletData
import SwiftletGraph
import SwiftletImages
import Testing
import _SwiftletTestSupport

#if canImport(Glibc)
  import Glibc
#endif

/// Pixels as Pillow 13.0 and torchvision 0.29 make them of the same picture.
@Suite struct PreprocessingTests {
  /// The pixels of a 3×H×W input, scaled to 0…1.
  private func pixels(_ preprocessing: Preprocessing) throws -> [UInt8] {
    let batch = try preprocessing.batch(sampleData(), [0], threads: .serial)
    return batch.elements.map { UInt8(($0 * 255).rounded()) }
  }

  private func unit(
    _ height: Int, _ width: Int, _ fit: Preprocessing.Fit, shorterSide: Int? = nil,
    box: Image.Size? = nil, _ interpolation: Interpolation = .bilinear, antialias: Bool = true,
    border: [UInt8]? = nil
  ) throws -> Preprocessing {
    try Preprocessing(
      channels: 3, height: height, width: width, fit: fit, shorterSide: shorterSide, box: box,
      interpolation: interpolation, antialias: antialias, border: border, mean: [0, 0, 0],
      deviation: [1, 1, 1])
  }

  @Test func theCenterIsThatOfTorchvision() throws {
    // Resize(11, BICUBIC), CenterCrop(8).
    let expected = bytes(
      "7b8f977c7589757491707d799491757786776e91928876826f748680908378906d7b78929578798d"
        + "756a8891826b7b9a8a8c757e808e7d7582887f78969a84798a706c8d81858c68787c6d7a8b82876d"
        + "797774927e6a7b737f6c8090877d717773898387966e657e8f88728171747281826a647c8c9f8d75"
        + "94817e748083847c787174927d71986f828e8d929e69738d92816693648481776e8a7d8d7a5c7b80"
        + "73938d8e8982899b87807a9299757180978a6585976b8b9292866ba57b8f778f"
    )
    #expect(try pixels(unit(8, 8, .crop, shorterSide: 11, .bicubic)) == expected)
  }

  @Test(arguments: [
    (
      Interpolation.nearest,
      "177f8827df8ccfd743cbfcc39b70db036f17705f5754e72f9b63e4fb1338f35bc7af5897cf1cff87"
        + "f3fbcc338b000bb3208c9a3efaacf400700c5636221094d0c08c122e4a7434a0100cce2672d8d470"
        + "608c8a1e9a3c7440b00c4616c2a014102999ac5515cc19299d4db0a9a9b04d9d1101b4fd3d948111"
        + "85b5b851d178b585f969bca5655ce9f96d1dc0f9f9401d6d"
    ),
    (
      .area,
      "2391768079887a764f9191838979827b7b716b8589838a819072738a76937c83887d838a7986888e"
        + "8e8d847f8976807a3095857d82788173807b748290698b7784817c866e80656d8d8c7f9271898198"
        + "827c79788f6f928c6c828e7d7d876c5c3e9a93868c75887e8b867d8d787f847e8c72817a74709072"
        + "7a7b8b8a818f718b7e6b888e757f9d978b877f88817d5971"
    ),
    (
      .lanczos,
      "2082837e7e88737b50907f83807c85767984728887848b7f8a78748c7c8c81838c7d8283837c8a7d"
        + "967c7f808b767d892f8a887f817a82737d8c747e876b807b8f7778837b7a736a8b7e7e8b71828192"
        + "76867c758a7a8588777d887d7989725c41938f88847d83838d867e8d877c83798b738580747a7d82"
        + "7778818d7b89878881798484867b81838a81818b837e5d7b"
    ),
  ])
  func filtersAreThoseOfPillow(filter: Interpolation, expected: String) throws {
    #expect(try pixels(unit(6, 8, .resize, filter)) == bytes(expected))
  }

  @Test func aLetterboxIsCentred() throws {
    // 37×23 becomes 8×5, with two rows above and below in a height of 9.
    let border = String(repeating: "72", count: 16)
    let planes = [
      "3180837e7e84777b5f877e838481857981797886838886838d7d7c868083857f957e807e89788186",
      "4586837f8376817782817a7f80737b748d7c7a85797c797f7b84807d7f7f838c7a7d837c7e837769",
      "568c8b88857e83828b8083897e7c807a80778184798181857e7883888083848487818289827d697b",
    ]
    let expected = bytes(planes.map { border + $0 + border }.joined())
    #expect(try pixels(unit(9, 8, .letterbox, border: [114, 114, 114])) == expected)
    // Between the nearest pixels, as OpenCV's INTER_LINEAR; of torch, rounded.
    let near = [
      "1da1a4784fb342644e8c2a92b7b656657f58a08992bb86c0b0b3368a6dc7b681e19fac3a8897b375",
      "2db9b761812a845e8752976a968c966de07c7683bf2b18853a854f9c67ba579d93912891705c9682",
      "3dd1d88a8e63a9a8bfa8a1b5455f8074417f3d7c3b8aaa4ac356609458ac91866ba185bf98ae78c2",
    ]
    let rough = bytes(near.map { border + $0 + border }.joined())
    let made = try pixels(unit(9, 8, .letterbox, antialias: false, border: [114, 114, 114]))
    #expect(zip(made, rough).allSatisfy { abs(Int($0) - Int($1)) <= 1 })
    #expect(made != expected)
    // A thin picture keeps a pixel.
    let line = try ImageDataset(
      name: "line", images: Tensor([1, 1, 1, 100], repeating: 200), labels: [0], classCount: 1)
    let grey = try Preprocessing(
      channels: 1, height: 4, width: 4, fit: .letterbox, border: [1], mean: [0], deviation: [1])
    let batch = try grey.batch(line, [0], threads: .serial).elements.map { $0 * 255 }
    let row = [Int](repeating: 1, count: 4)
    #expect(batch.map { Int($0.rounded()) } == row + [200, 200, 200, 200] + row + row)
  }

  @Test func coloursAndAxesAreReversed() throws {
    // Pillow: resize((8, 6), BILINEAR)[:, :, ::-1] − (103.939, 116.779, 123.68).
    let graph = model([1, 6, 8, 3])
    let data = try sampleData()
    var caffe = try Preprocessing(for: graph, images: data, scaling: .caffe)
    #expect(caffe.layout == .interleaved && caffe.colours == .bgr && caffe.fit == .resize)
    #expect(caffe.summary.hasPrefix("6×8×3 in the order BGR, resized; pixels minus 103.939"))
    caffe = try Preprocessing(
      channels: 3, height: 6, width: 8, fit: .resize, antialias: true, colours: .bgr,
      layout: .interleaved, scale: 1, mean: caffe.mean, deviation: caffe.deviation)
    let batch = try caffe.batch(data, [0, 0], threads: Threads(count: 2))
    #expect(batch.shape == [2, 6, 8, 3])
    let expected: [(y: Int, x: Int, values: [Float])] = [
      (2, 3, [27.060997, 14.221001, 9.32]), (0, 0, [-28.939003, -56.779, -80.68]),
      (5, 7, [16.060997, -16.779, 13.32]),
    ]
    for (y, x, values) in expected {
      for channel in 0..<3 {
        #expect(abs(batch[0, y, x, channel] - values[channel]) < 1e-4)
        #expect(batch[1, y, x, channel] == batch[0, y, x, channel])
      }
    }
    // Augmentation moves pixels, not channels.
    let move = Augmentation.Move(down: 1, right: 2, isFlipped: true)
    let moved = try caffe.batch(data, [0], moves: [move], threads: .serial)
    #expect((0..<3).allSatisfy { moved[0, 3, 6, $0] == batch[0, 2, 3, $0] })
    #expect((0..<3).allSatisfy { moved[0, 0, 4, $0] == -caffe.mean[$0] })
  }

  @Test func imagesInMemoryAreInterpolatedInAnyLayout() throws {
    let data = try sampleData()
    let planar = try Preprocessing(for: model([1, 3, 6, 8]), images: data, scaling: .unit)
    let other = try Preprocessing(for: model([1, 6, 8, 3]), images: data, scaling: .unit)
    #expect(planar.layout == .planar && planar.antialias == nil && planar.fit == .resize)
    #expect(other.layout == .interleaved)
    let batch = try planar.batch(data, [0], threads: .serial)
    #expect(
      try other.batch(data, [0], threads: .serial)
        == batch.permuted(to: [0, 2, 3, 1]).contiguous())
    let small = try Preprocessing(for: model([1, 24, 40, 3]), images: data, scaling: .unit)
    let padded = try small.batch(data, [0], threads: .serial)
    #expect(small.fit == .pad && padded[0, 0, 1, 0] == 0)
    #expect(padded[0, 22, 37, 2] == Float(sampleImage.pixels[22, 36, 2]) / 255)
  }

  @Test func picturesInFilesBecomeTheSame() throws {
    try withTemporaryFolder { folder in
      try put(sampleBMP(), folder, "a/1.bmp")
      try put(bmp(width: 5, height: 5, (0, 0, 0)), folder, "b/2.bmp")
      let files = try DataSpec(parsing: "images:\(folder)").load(defaultPart: .train)
      let index = try #require(files.labels.firstIndex(of: 0))
      for preprocessing in [
        try unit(9, 8, .letterbox, border: [114, 20, 3]),
        try unit(8, 8, .crop, shorterSide: 11, .bicubic),
        try unit(6, 8, .resize, box: Image.Size(width: 10, height: 9), .lanczos),
      ] {
        let batch = try preprocessing.batch(files, [index], threads: .serial)
        #expect(try batch == preprocessing.batch(sampleData(), [0], threads: .serial))
      }
    }
  }

  @Test func integersAreFedPixels() throws {
    let data = try sampleData()
    let bytes = try Preprocessing(for: model([1, 24, 40, 3], .uint8), images: data)
    #expect(bytes.summary == "24×40×3, padded; pixels scaled to 0…255")
    let batch = try bytes.batch(data, [0], threads: .serial)
    #expect(batch[0, 5, 7, 1] == Float(sampleImage.pixels[5, 6, 1]))
    let signed = try Preprocessing(for: model([1, 24, 40, 3], .int8), images: data)
    #expect(signed.summary.hasSuffix("pixels scaled to -128…127"))
    for scaling in [Preprocessing.Scaling.unit, .imagenet, .half, .caffe] {
      expectError(.badInput, "'x' is uint8", "raw") {
        try Preprocessing(for: model([1, 3, 24, 40], .uint8), images: data, scaling: scaling)
      }
    }
    expectError(.unsupported, "'x' is int64") {
      try Preprocessing(for: model([1, 3, 24, 40], .int64), images: data)
    }
  }

  @Test func theInputOfFourAxesIsFound() throws {
    let data = try sampleData()
    let size = ValueInfo("size", .float32, [.fixed(1), .fixed(2)])
    var graph = model([1, 3, 24, 40].map(Dimension.fixed), others: [size])
    graph.inputs.reverse()
    #expect(try Preprocessing(for: graph, images: data).fit == .pad)
    let second = ValueInfo("z", .float32, [1, 3, 8, 8].map(Dimension.fixed))
    expectError(.unsupported, "2 inputs of four axes") {
      try Preprocessing(
        for: model([.fixed(1), .fixed(3)], others: [second, second]), images: data)
    }
    expectError(.unsupported, "does not take one batch of images") {
      try Preprocessing(for: model([.fixed(1), .fixed(3)]), images: data)
    }
    // N×C×1×1 has no pixels in its last axes.
    #expect(
      try Preprocessing(
        for: model([1, 3, 24, 1]),
        images: ImageDataset(
          name: "narrow", images: Tensor(zeros: [1, 3, 24, 1]), labels: [0], classCount: 1)
      ).layout == .planar)
  }

  @Test func aBatchOfOneMayBeLarge() throws {
    let data = try sampleData()
    // 256 of them exceed the limit of elements; the model never gets them.
    let graph = model([1, 3, 2000, 2000])
    #expect(try Preprocessing(for: graph, images: data).height == 2000)
    expectError(.badInput, "elements") {
      try Preprocessing(
        for: model([.symbolic("N"), .fixed(3), .fixed(2000), .fixed(2000)]), images: data)
    }
  }

  @Test func metadataSayOnlyWhatDiffers() throws {
    let data = try sampleData()
    var graph = model([1, 3, 8, 8])
    try Preprocessing(
      channels: 3, height: 8, width: 8, fit: .crop, shorterSide: 9, mean: [0.5, 0.25, 0],
      deviation: [0.5, 1, 2]
    ).store(in: &graph)
    // What earlier versions wrote.
    #expect(
      graph.metadata[Preprocessing.metadataKey]
        == #"{"channels":3,"deviation":[0.5,1,2],"fit":"crop","height":8,"mean":[0.5,0.25,0],"#
        + #""shorterSide":9,"width":8}"#)
    let full = try Preprocessing(
      channels: 3, height: 8, width: 8, fit: .letterbox, box: Image.Size(width: 9, height: 10),
      interpolation: .area, antialias: false, cropRounding: .down, border: [1, 2, 3],
      colours: .bgr, scale: 1, mean: [0, 0, 0], deviation: [1, 1, 1])
    full.store(in: &graph)
    #expect(try Preprocessing.stored(in: graph, images: data) == full)
    let text = try #require(graph.metadata[Preprocessing.metadataKey])
    for (old, new) in [
      ("\"area\"", "\"cubic\""), ("\"boxWidth\":9", "\"boxWidth\":7"), (",\"boxWidth\":9", ""),
      ("\"scale\":1", "\"scale\":0"), ("[1,2,3]", "[1,2]"), ("[1,2,3]", "[1,2,256]"),
      ("\"bgr\"", "3"), ("\"down\"", "\"up\""),
    ] {
      let parts = text.split(separator: old, omittingEmptySubsequences: false)
      #expect(parts.count > 1, "\(text)")
      graph.metadata[Preprocessing.metadataKey] = parts.joined(separator: new)
      expectError(.badInput, "damaged") { try Preprocessing.stored(in: graph, images: data) }
    }
    // An input of another layout or type.
    full.store(in: &graph)
    graph.inputs[0].dimensions = [1, 8, 8, 3].map(Dimension.fixed)
    expectError(.badInput, "do not match") { try Preprocessing.stored(in: graph, images: data) }
  }
}
