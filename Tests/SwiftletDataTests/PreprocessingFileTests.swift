// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletData
import SwiftletGraph
import SwiftletImages
import Testing
import _SwiftletTestSupport

@Suite struct PreprocessingFileTests {
  private func read(
    _ text: String, for graph: Graph, images: ImageDataset? = nil
  ) throws -> Preprocessing {
    try withTemporaryFolder { folder in
      try put(Array(text.utf8), folder, "file")
      return try Preprocessing(
        reading: "\(folder)/file", for: graph, images: images ?? sampleData())
    }
  }

  @Test(arguments: ForeignFile.all)
  func inputsAreThoseOfTheTool(file: ForeignFile) throws {
    let (height, width) = file.size
    // The file's size also counts for a model that takes any.
    for graph in [
      model([1, 3, height, width]),
      model([.symbolic("N"), .fixed(3), .symbolic("height"), .symbolic("width")]),
    ] {
      let made = try read(file.json, for: graph)
      let batch = try made.batch(sampleData(), [0], threads: .serial)
      #expect(batch.shape == [1, 3, height, width])
      for channel in 0..<3 {
        #expect(abs(batch[0, channel, 2, 3] - file.values[channel]) < 2e-5)
      }
      let pixels = (0..<3 * height * width).map { i in
        let channel = i / (height * width)
        let value = batch.elements[i] * made.deviation[channel] + made.mean[channel]
        return UInt8((value / made.scale).rounded())
      }
      #expect(pixels == bytes(file.pixels), "\(made.summary)")
    }
    // A model that normalizes itself gets the same picture.
    let own = try read(file.json, for: model([1, height, width, 3], .uint8))
    #expect(own.summary.hasSuffix("pixels scaled to 0…255"))
  }

  @Test func keysThatAreLeftOutAreThoseOfTheClass() throws {
    let clip = try read(
      #"{"image_processor_type": "CLIPImageProcessorFast"}"#, for: model([1, 3, 224, 224]))
    #expect(clip.fit == .crop && clip.shorterSide == 224 && clip.interpolation == .bicubic)
    #expect(clip.mean[0] == 0.48145466 && clip.deviation[2] == 0.27577711)
    let large = try read(
      #"{"image_processor_type": "ConvNextImageProcessor", "size": 384, "resample": 3}"#,
      for: model([1, 3, 384, 384]))
    #expect(large.fit == .resize && large.box == nil && large.mean == [0.5, 0.5, 0.5])
    let nested = try read(
      #"{"image_processor": {"image_processor_type": "ViTImageProcessor"}, "video_processor": {}}"#,
      for: model([1, 3, 224, 224]))
    #expect(nested.fit == .resize && nested.interpolation == .bilinear)
    let offset = try read(
      """
      {"image_processor_type": "EfficientNetImageProcessor", "size": {"height": 8, "width": 8},
       "rescale_factor": 0.00784313725490196, "rescale_offset": true, "do_normalize": false,
       "include_top": false}
      """, for: model([1, 3, 8, 8]))
    #expect(offset.summary.hasSuffix("pixels scaled to -1…1"))
    // The size for tests counts if it is the model's.
    let timm =
      #"{"pretrained_cfg": {"input_size": [3, 8, 8], "test_input_size": [3, 10, 10], "#
      + #""crop_pct": 0.5, "test_crop_pct": 1.0}}"#
    #expect(try read(timm, for: model([1, 3, 10, 10])).shorterSide == 10)
    #expect(try read(timm, for: model([1, 3, 8, 8])).shorterSide == 16)
  }

  @Test(arguments: [
    (
      #"{"image_processor_type": "DetrImageProcessor", "resample": 2, "#
        + #""size": {"shortest_edge": 800, "longest_edge": 1333}}"#, "'size'", "longest_edge"
    ),
    (
      #"{"feature_extractor_type": "DetrFeatureExtractor", "size": 800, "max_size": 1333}"#,
      "'max_size'", "sizes differ"
    ),
    (
      #"{"image_processor_type": "GLPNImageProcessor", "size_divisor": 32}"#,
      "'image_processor_type'", "GLPN"
    ),
    (
      #"{"image_processor_type": "DPTImageProcessor", "keep_aspect_ratio": true}"#,
      "'keep_aspect_ratio'", "YAML"
    ),
    (
      #"{"feature_extractor_type": "WhisperFeatureExtractor", "sampling_rate": 16000}"#,
      "'sampling_rate'", "sound"
    ),
    (
      #"{"image_processor_type": "Qwen2VLImageProcessor", "max_pixels": 12845056}"#, "'max_pixels'",
      ""
    ),
    (#"{"pretrained_cfg": {"input_size": [3, 8, 6]}}"#, "'input_size'", "not a square"),
  ])
  func sizesThatDifferAreRefused(text: String, key: String, fragment: String) throws {
    expectError(.unsupported, key, fragment, "/file") {
      try read(text, for: model([1, 3, 8, 8]))
    }
  }

  @Test(arguments: [
    ("{\"do_resize\": true", "invalid YAML", "line"),
    ("{\"model_type\": \"vit\"}", "does not describe", "preprocessor_config.json"),
    ("just words", "does not describe", "YAML"),
    ("", "does not describe", "YAML"),
    ("mean: [", "invalid YAML", "line"),
    (#"{"do_resize": "yes"}"#, "'do_resize'", "true or false"),
    (#"{"do_resize": true, "size": {"height": 8, "width": 8}}"#, "'resample'", "missing"),
    (#"{"do_resize": true, "resample": 2, "size": 8}"#, "'size'", "shortest_edge"),
    (
      #"{"image_processor_type": "ViTImageProcessor", "size": 8, "resample": 5}"#, "'resample'",
      "3 (bicubic)"
    ),
    (#"{"image_processor_type": "ViTImageProcessor", "size": 9}"#, "9×9", "8×8"),
    (#"{"image_processor_type": "ViTImageProcessor", "size": {"width": 8}}"#, "'size'", "height"),
    (
      #"{"image_processor_type": "ViTImageProcessor", "size": 8, "image_std": [1, 0, 1]}"#,
      "'image_std'", "above 0"
    ),
    (
      #"{"image_processor_type": "ViTImageProcessor", "size": 8, "image_mean": [1, 0]}"#, "mean",
      "2 values"
    ),
    (
      #"{"image_processor_type": "BitImageProcessor", "size": 8, "do_center_crop": false}"#,
      "'do_center_crop'", "YAML"
    ),
    (
      #"{"image_processor_type": "BitImageProcessor", "size": 8, "crop_size": 9}"#, "'crop_size'",
      "larger"
    ),
    (
      #"{"image_processor_type": "ConvNextImageProcessor", "size": {"height": 8, "width": 8}}"#,
      "'size'", "shortest_edge"
    ),
    (#"{"input_size": [3, 8]}"#, "'input_size'", "[3, 224, 224]"),
    (#"{"input_size": [1, 8, 8]}"#, "'input_size'", "1 channels"),
    (
      #"{"input_size": [3, 8, 8], "interpolation": "bicubc"}"#, "'interpolation'",
      "did you mean 'bicubic'"
    ),
    (#"{"input_size": [3, 8, 8], "interpolation": "random"}"#, "'interpolation'", "one of nearest"),
    (#"{"input_size": [3, 8, 8], "crop_pct": 1.5}"#, "'crop_pct'", "0.01 to 1"),
    ("resise: exact", "'resise'", "did you mean 'resize'"),
    ("std: [1, 1, 1]", "'std'", "did you mean 'deviation'"),
    ("wheel: 1", "'wheel'", "the keys are size"),
    ("resize: stretch", "'resize'", "shorter, exact"),
    ("to: 9", "'to'", "add resize"),
    ("{resize: shorter, crop: 1.0e-300}", "'crop'", "0.01 to 1"),
    ("{resize: exact, crop: .nan}", "'crop'", "0.01 to 1"),
    ("{resize: exact, to: 99999999999}", "'to'", "size in pixels"),
    ("{resize: exact, to: 7}", "not possible", "resizing to 7×7"),
    ("{resize: shorter, to: 9, crop: 0.5}", "'crop'", "leave out"),
    ("{resize: shorter, to: [9, 8]}", "'to'", "one number"),
    ("{resize: none, interpolation: bicubic}", "'interpolation'", "nothing uses it"),
    ("{resize: exact, border: 3}", "'border'", "nothing uses it"),
    ("{resize: letterbox, border: 256}", "'border'", "0 to 255"),
    ("{resize: letterbox, border: [1, 2]}", "border", "2 values"),
    ("scale: 1/0", "'scale'", "above 0"),
    ("scale: -1", "'scale'", "above 0"),
    ("mean: words", "'mean'", "list of numbers"),
    ("deviation: [1, 0, 1]", "'deviation'", "above 0"),
    ("colours: grb", "'colours'", "did you mean 'rgb'"),
    ("layout: nhwc", "'layout'", "8×8"),
    ("size: 9", "'size'", "8×8"),
    ("size: [8, 8, 8]", "'size'", "[height, width]"),
  ])
  func mistakesAreNamed(text: String, key: String, fragment: String) throws {
    expectError(.badInput, key, fragment, "/file") { try read(text, for: model([1, 3, 8, 8])) }
  }

  @Test func filesOfOurOwnAreReadInFull() throws {
    let made = try read(
      """
      # as deployed
      size: [8, 6]
      resize: letterbox
      to: [9, 7]
      interpolation: lanczos
      antialias: false
      cropRounding: down
      border: [1, 2, 3]
      colours: bgr
      layout: nhwc
      scale: 1
      mean: [103.939, 116.779, 123.68]
      deviation: 2
      """, for: model([.symbolic("N"), .symbolic("h"), .symbolic("w"), .fixed(3)]))
    #expect(
      try made
        == Preprocessing(
          channels: 3, height: 8, width: 6, fit: .letterbox, box: Image.Size(width: 7, height: 9),
          interpolation: .lanczos, antialias: false, cropRounding: .down, border: [1, 2, 3],
          colours: .bgr, layout: .interleaved, scale: 1, mean: [103.939, 116.779, 123.68],
          deviation: [2, 2, 2]))
    let graph = model([1, 3, 8, 8])
    let part = try read("{resize: shorter, crop: 0.875, scale: 1/255}", for: graph)
    #expect(part.fit == .crop && part.shorterSide == 9 && part.antialias == true)
    #expect(part.scale == Preprocessing.unitScale && part.mean == [0, 0, 0])
    // What a file leaves out is guessed.
    let colours = try read("colours: bgr", for: graph)
    #expect(colours.fit == .resize && colours.mean == [0.485, 0.456, 0.406])
    #expect(try read("border: 7", for: model([1, 3, 24, 40])).border == [7, 7, 7])
    #expect(try read("resize: none", for: graph).fit == .pad)
    let json = try read(#"{"resize": "exact", "to": 10, "mean": 0.5}"#, for: graph)
    #expect(json.box == Image.Size(width: 10, height: 10) && json.deviation == [1, 1, 1])
  }

  /// A file may not take any amount of memory.
  @Test(arguments: ["exact", "letterbox"])
  func picturesAreNotResizedBeyondTheLimit(resize: String) throws {
    let made = try read("{resize: \(resize), to: 16384}", for: model([1, 3, 8, 8]))
    let square = try ImageDataset(
      name: "square", images: Tensor(zeros: [1, 3, 9, 9]), labels: [], classCount: 0)
    expectError(.badInput, "one of 16384×16384, which is too large") {
      try made.batch(square, [0], threads: .serial)
    }
  }

  @Test func theShorterSideOfARectangleNeedsALength() throws {
    let graph = model([1, 3, 8, 6])
    expectError(.badInput, "8×6", "/file") { try read("resize: shorter", for: graph) }
    #expect(try read("{resize: shorter, to: 9}", for: graph).shorterSide == 9)
  }
}
