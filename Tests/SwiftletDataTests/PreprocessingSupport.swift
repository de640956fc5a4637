// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletData
import SwiftletGraph
import SwiftletImages
import Testing

/// A model with one input, all that preprocessing asks for.
func model(
  _ dimensions: [Dimension], _ dtype: DType = .float32, others: [ValueInfo] = []
) -> Graph {
  let input = ValueInfo("x", dtype, dimensions)
  return Graph(
    name: "model", nodes: [Node("Relu", name: "relu", inputs: ["x"], outputs: ["y"])],
    inputs: [input] + others, outputs: [ValueInfo("y", dtype, dimensions)])
}

func model(_ extents: [Int], _ dtype: DType = .float32) -> Graph {
  model(extents.map(Dimension.fixed), dtype)
}

/// A picture of 37×23 pixels; (3x² + 7y(c + 1) + xy(c + 2)) mod 256 in channel c.
let sampleImage: Image = {
  var pixels = Tensor<UInt8>(zeros: [23, 37, 3])
  for y in 0..<23 {
    for x in 0..<37 {
      for c in 0..<3 {
        pixels[y, x, c] = UInt8(truncatingIfNeeded: x * x * 3 + y * 7 * (c + 1) + x * y * (c + 2))
      }
    }
  }
  return Image(pixels)
}()

/// The picture in memory.
func sampleData() throws -> ImageDataset {
  let planar = sampleImage.pixels.permuted(to: [2, 0, 1]).contiguous()
  return try ImageDataset(
    name: "sample", images: planar.reshaped(to: [1, 3, 23, 37]), labels: [0], classCount: 1)
}

/// The picture as BMP.
func sampleBMP() -> [UInt8] {
  func word(_ value: Int) -> [UInt8] { (0..<4).map { UInt8(value >> ($0 * 8) & 255) } }
  var rows: [UInt8] = []
  for y in (0..<23).reversed() {
    for x in 0..<37 {
      for c in (0..<3).reversed() { rows.append(sampleImage.pixels[y, x, c]) }
    }
    rows.append(0)
  }
  let numbers = [54 + rows.count, 0, 54, 40, 37, 23, 24 << 16 | 1, 0, rows.count, 0, 0, 0, 0]
  return Array("BM".utf8) + numbers.flatMap(word) + rows
}

/// The bytes of hexadecimal digits.
func bytes(_ digits: String) -> [UInt8] {
  let digits = Array(digits.utf8).map { UInt8(Character(UnicodeScalar($0)).hexDigitValue!) }
  return stride(from: 0, to: digits.count, by: 2).map { digits[$0] * 16 + digits[$0 + 1] }
}

/// Files of other tools, and what these make of `sampleImage` with them: Pillow's backend of
/// transformers 5.24, and timm 1.0.31.
struct ForeignFile: Sendable, CustomTestStringConvertible {
  let name: String
  let json: String
  /// Height and width of the input.
  let size: (Int, Int)
  /// The input at (2, 3), for each channel.
  let values: [Float]
  /// The pixels of all of the input, before they become numbers.
  let pixels: String

  var testDescription: String { name }

  static let all: [ForeignFile] = [
    ForeignFile(
      name: "vit",
      json: """
        {"do_normalize": true, "do_resize": true, "feature_extractor_type": "ViTFeatureExtractor",
         "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "resample": 2, "size": 8}
        """,
      size: (8, 8), values: [0.027451, -0.027451, 0.090196],
      pixels: "257b827e8287747a4388837d7d807e7a63867d83857f857a7b7c7986868788818778798981898581"
        + "8e7e78857a8584808c7d83838c7a887e9b7e7e7c85777a903081877b867e8671658b7e84806d7b7f"
        + "897e787c82757d728c7d79847879716f8e7b7d887981828e7989807a7a7e818e777c7d7c8a7f857d"
        + "7d7d887d758567593b8c94877b7c7d867e897f8b8d7f89798d7f858b7a7b7d7d8777817f777a7f7d"
        + "7979828a7c8a818d7c7682887f808e83877c868481816e7e86817f8d83796377"),
    ForeignFile(
      name: "clip",
      json: """
        {"crop_size": {"height": 8, "width": 8}, "do_center_crop": true, "do_convert_rgb": true,
         "do_normalize": true, "do_rescale": true, "do_resize": true,
         "image_mean": [0.48145466, 0.4578275, 0.40821073],
         "image_processor_type": "CLIPImageProcessor",
         "image_std": [0.26862954, 0.26130258, 0.27577711], "resample": 3,
         "rescale_factor": 0.00392156862745098, "size": {"shortest_edge": 12}}
        """,
      size: (8, 8), values: [0.076336, 0.439037, 0.52481],
      pixels: "ab729e6c738e7c7499817d8695907c6b5f747880868c77786b8478889f897882796592948f847285"
        + "717b76878e747692956987987d6b798980997b7a89a1718f7f78779a7d798f6e67786a76888e9371"
        + "82746f928d5f80738172819473747e6d6d6a8e88a07e6d748c8f7d8988685a738e6f6d816c7d9b6e"
        + "7e6d6780969d877a6a6a82917a7ba2768f89819ea35e728b7389718d708f668c96806b966d5c9570"
        + "698d899c7d69748d88a08087938b868c9a6171989f6375709f8660968f718c99"),
    ForeignFile(
      name: "convnext",
      json: """
        {"crop_pct": 0.875, "do_normalize": true, "do_resize": true,
         "feature_extractor_type": "ConvNextFeatureExtractor", "image_mean": [0.485, 0.456, 0.406],
         "image_std": [0.229, 0.224, 0.225],
         "resample": 3, "size": {"shortest_edge": 8}}
        """,
      size: (8, 8), values: [0.091189, 0.27521, 0.827364],
      pixels: "8586837a857d92776689827682778a80798888818c7b728f806e778b9079838f8074818f8c778e8c"
        + "7274819180788f89827c7e897679897b7c8b80839a897476838a866d879172967386878b74846466"
        + "84706b84888d6b71827a778f6e7c747a786f848f7f747b887d8b808e7861819689766c7d818d777b"
        + "8b7e71828c877b8391999872806b847b7f7c8990949c777d8a8183977577807487837986797b7d75"
        + "74867f8d627b8080749189918681918b86816e9b7a7680778c8e6e9c7b888e5b"),
    ForeignFile(
      name: "deit",
      json: """
        {"crop_size": 8, "do_center_crop": true, "do_normalize": true, "do_resize": true,
         "feature_extractor_type": "DeiTFeatureExtractor", "image_mean": [0.485, 0.456, 0.406],
         "image_std": [0.229, 0.224, 0.225],
         "resample": 3, "size": 11}
        """,
      size: (8, 8), values: [-0.045809, -0.039916, 0.68793],
      pixels: "71817a7d7f768b7a9187908a7980768499747d7990817b8e97737482927d888b887672838e7c8a8e"
        + "7e7b778491778f85717a728c80738b887a8a897985837b808e8589897c7e65769f74747c858a696f"
        + "8980767287857080668877837d7478707381718988767e7b7c7482868e67829a9191867974747e80"
        + "787d6f6d8f97737ca1878b91979e78858e7d6f847d84788166928b8f946b86756f7c807a7583767d"
        + "7e6f8286776d7f7b80748b8d8a859288757b838394727b94707c8b718e7c8772"),
    ForeignFile(
      name: "mobilevit",
      json: """
        {"crop_size": {"height": 8, "width": 8}, "do_center_crop": true,
         "do_flip_channel_order": true, "do_rescale": true, "do_resize": true,
         "image_processor_type": "MobileViTImageProcessor", "resample": 2,
         "rescale_factor": 0.00392156862745098, "size": {"shortest_edge": 9}}
        """,
      size: (8, 8), values: [0.576471, 0.521569, 0.513726],
      pixels: "909894787f71827a817f898e91967a7c888582937a7a7e7586837a867a7c7d7676837f88697a807e"
        + "768f899086829087858173967b77837b898b73977e878a60828a847284907390798487867582676a"
        + "83746f8587896e727f7a778d727b74787872848a7e757b877f887e8d78688091867a727e81897a7e"
        + "8980718288867d858288817c84828e796d8684768376897f7b858583897e758d8273798b8f79848c"
        + "7b748489887c8b8b73787e9083778d89807b7f89787d867c7d88848395857879"),
    ForeignFile(
      name: "segformer",
      json: """
        {"do_normalize": true, "do_reduce_labels": false, "do_rescale": true, "do_resize": true,
         "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225],
         "image_processor_type": "SegformerImageProcessor", "resample": 2,
         "rescale_factor": 0.00392156862745098, "size": {"height": 6, "width": 10}}
        """,
      size: (6, 10), values: [-0.080058, 0.065126, 0.409063],
      pixels: "206e81857b80867e737f438d7e84818379857e776b897877878a7f8d857e8a7a787a8d7f86898084"
        + "957a828183828080897e9c827a807e8c787b808a2f7b85877c857a817d736e8d7d76828177708376"
        + "95777f78877a787a716f8b817d7e8778768b7d93758185757c877e808486757e82857d7b7d876566"
        + "3f848e9286867d7e83848a83837f8d80807a84798f76817f85757e79827b767a79878c7c8586838b"
        + "8776847c8b7e83788880888283828c828369687b"),
    ForeignFile(
      name: "levit",
      json: """
        {"crop_size": {"height": 8, "width": 8}, "do_center_crop": true, "do_normalize": true,
         "do_resize": true, "image_mean": [0.485, 0.456, 0.406],
         "image_std": [0.229, 0.224, 0.225],
         "image_processor_type": "LevitImageProcessor", "resample": 3, "size": {"shortest_edge": 8}}
        """,
      size: (8, 8), values: [0.091189, 0.27521, 0.827364],
      pixels: "8586837a857d92776689827682778a80798888818c7b728f806e778b9079838f8074818f8c778e8c"
        + "7274819180788f89827c7e897679897b7c8b80839a897476838a866d879172967386878b74846466"
        + "84706b84888d6b71827a778f6e7c747a786f848f7f747b887d8b808e7861819689766c7d818d777b"
        + "8b7e71828c877b8391999872806b847b7f7c8990949c777d8a8183977577807487837986797b7d75"
        + "74867f8d627b8080749189918681918b86816e9b7a7680778c8e6e9c7b888e5b"),
    ForeignFile(
      name: "poolformer",
      json: """
        {"crop_pct": 0.9, "crop_size": {"height": 8, "width": 8}, "do_center_crop": true,
         "do_normalize": true, "do_rescale": true, "do_resize": true,
         "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225],
         "image_processor_type": "PoolFormerImageProcessor", "resample": 3,
         "rescale_factor": 0.00392156862745098, "size": {"shortest_edge": 8}}
        """,
      size: (8, 8), values: [0.125439, 0.257703, 0.722789],
      pixels: "9a77897b81848876908085798278848078827e838e7583896f78788d8c79918977727d91837d9187"
        + "81787c8a747f868884878382948371887e7b797f8a777c769a7e8c7187847d9281817d8a7b805e76"
        + "79796d8384806f818a79788e72777d6a7a7981907f698e8d8888747e7979807f7f826f7f92847a89"
        + "758e857e70749476a48d9d7a8371847e7f7e7e928d8f758b8e838591787a7b79738876846d7f757e"
        + "737c8e8e77848d81758a7993817a7e9778966d957c897b6082788f89837e7d5b"),
    ForeignFile(
      name: "efficientnet",
      json: """
        {"crop_size": {"height": 5, "width": 5}, "do_center_crop": false, "do_normalize": true,
         "do_rescale": true, "do_resize": true, "image_mean": [0.485, 0.456, 0.406],
         "image_std": [0.229, 0.224, 0.225],
         "image_processor_type": "EfficientNetImageProcessor", "include_top": true, "resample": 0,
         "rescale_factor": 0.00392156862745098, "rescale_offset": false,
         "size": {"height": 8, "width": 8}}
        """,
      size: (8, 8), values: [-7.977219, 4.823805, -1.590317],
      pixels: "177f8827df8ccfd738b8df9c6c3798b859f13611f9e261997a2a8d86868d2a7a9050c7d4e4ffb010"
        + "b1891e4971aa79f1d2c275befe5542d2f3fbcc338b000bb3208c9a3efaacf4005cec27f8d8b72c5c"
        + "984cb4b2b6c264b8d4ac416c94cd9c14fcec9fe8287f6cfc384c2ca2068aa45874acb95ce495dcb4"
        + "b00c4616c2a014102999ac5515cc192980206f544437c000d7a7325373a267d72e2ef552a20d0eae"
        + "688877fc6cff28e8bf0f3afb9b6acfbf1696fdfacad576966d1dc0f9f9401d6d"),
    ForeignFile(
      name: "bit",
      json: """
        {"crop_size": {"height": 8, "width": 8}, "do_center_crop": true, "do_convert_rgb": true,
         "do_normalize": false, "do_rescale": false, "do_resize": true,
         "image_processor_type": "BitImageProcessor", "resample": 1, "size": {"shortest_edge": 10}}
        """,
      size: (8, 8), values: [135.0, 144.0, 143.0],
      pixels: "6d817f7881758883958a90778a836986836c7987957d758f79787d9292787f97707786928a758893"
        + "69768791786f92828f7a81867d79857e7d917583a095796188808f8a6f837458806e6f8984957360"
        + "75786f90768072787c6e8890697e708475758893906a7197908c78886967738f81636c828ca07773"
        + "8c7f7082878977838d7b978c9aaa76797a7584996b7c8573828c838f8b658e769078748b568b7173"
        + "6b938a9272739589888f7f988b7c83819b7066a574738c729c7c7aa0788e8777"),
    ForeignFile(
      name: "timm center",
      json: """
        {"architecture": "resnet50", "num_classes": 1000, "pretrained_cfg": {"tag": "a1_in1k",
         "input_size": [3, 8, 8], "fixed_input_size": false, "interpolation": "bicubic",
         "crop_pct": 0.9,
         "crop_mode": "center", "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225],
         "pool_size": [7, 7], "classifier": "fc"}}
        """,
      size: (8, 8), values: [0.125439, 0.257703, 0.722789],
      pixels: "9a77897b81848876908085798278848078827e838e7583896f78788d8c79918977727d91837d9187"
        + "81787c8a747f868884878382948371887e7b797f8a777c769a7e8c7187847d9281817d8a7b805e76"
        + "79796d8384806f818a79788e72777d6a7a7981907f698e8d8888747e7979807f7f826f7f92847a89"
        + "758e857e70749476a48d9d7a8371847e7f7e7e928d8f758b8e838591787a7b79738876846d7f757e"
        + "737c8e8e77848d81758a7993817a7e9778966d957c897b6082788f89837e7d5b"),
    ForeignFile(
      name: "timm squash",
      json: """
        {"num_classes": 1000, "input_size": [3, 8, 8], "interpolation": "bilinear",
         "crop_pct": 0.8, "crop_mode": "squash", "first_conv": "conv1"}
        """,
      size: (8, 8), values: [0.05694, 0.27521, 0.583355],
      pixels: "7c787d7d7d84837893848d84827483808c74767f8a7c8a828a7c788a89818e897b7a799182868a81"
        + "71727c877a858677808a7e7f7f7f81957a7f8787917d79839183878779736c7d9078707f877a718b"
        + "798176847c78797474807a87777776717e787a8e7f7691798c8685817076887f7f806c7a8e807a8c"
        + "7b8a807c857f88749885879398847e8f7f837a8b787f797f738585897c7f7a83797f7f81727b7784"
        + "7b76868d778786817a7c888e84828b807085788a7b827a9f80887e8d84856156"),
    ForeignFile(
      name: "timm border",
      json: """
        {"architecture": "vit", "pretrained_cfg": {"input_size": [3, 8, 8],
         "interpolation": "bicubic", "crop_pct": 0.8, "crop_mode": "border",
         "mean": [0.5, 0.4, 0.3], "std": [0.5, 0.25, 0.5]}}
        """,
      size: (8, 8), values: [0.003922, 0.439216, 0.529412],
      pixels: "80808080808080806e84857c7e887e70947e8680857786808c7675898a7e8f857976788e7d868b7d"
        + "7983808582817f8c8079827e8f757c7e808080808080808066666666666666667e878a7b847a817d"
        + "927b748284766c887181748879787970807d7f8a767390788287737a8a7e7e887d83877c7a7d8b61"
        + "66666666666666664c4c4c4c4c4c4c4c88909384887c808283847d9081827a8571818083737d7883"
        + "7c768a8c7b858a8173877a8c7f83778a8282828d808666654c4c4c4c4c4c4c4c"),
  ]
}
