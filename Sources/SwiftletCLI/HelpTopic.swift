// SPDX-License-Identifier: Apache-2.0

import Swiftlet

/// What `swiftlet help` tells of besides commands.
enum HelpTopic: String, CaseIterable {
  case techniques, goals, data
  /// docs/settings.md.
  case settings

  /// The topic that arguments ask for.
  init?(arguments: [String]) {
    guard arguments.count == 2, arguments[0] == "help" else { return nil }
    self.init(rawValue: arguments[1])
  }

  var text: String {
    switch self {
    case .techniques:
      """
      Techniques of 'swiftlet compress', applied in the order given, and their settings. In a
      recipe an option is a key: --learning-rate 0.01 is 'learningRate: 0.01', --no-flip is
      'flip: false'. Options apply to each technique of the list that has them; others are
      refused. Options with names of layers may be repeated.

      \(SettingsText.all)

      A recipe has a list of steps:

        steps:
          - technique: lowrank
            ratio: 0.5
          - technique: quantize
            calibrationImages: 512

      Presets: fast (low rank where it saves time, then int8, without training), balanced (43 % of
      the channels, distillation, int8 with training) and smallest (33 %, longer distillation).
      Of a preset's steps those are kept that help the model.

      """
    case .goals:
      """
      Goals of 'swiftlet compress'. With a goal the strength of svd, lowrank, eigen and prune is
      searched: the mildest one that reaches the targets, or with --max-drop alone the
      strongest one that keeps the accuracy.

        --max-drop 0.5        at most 0.5 percentage points of top-1 accuracy are lost, as
                              counted on the images that judge; needs labels
        --confidence 95%      confidence level for --max-drop, by a paired test on the same
                              images, and for --mixed-drop
        --target-size 200k    largest file: bytes (200k, 1.5M) or a fraction (50%)
        --target-macs 30%     most multiply-accumulate operations per image
        --target-latency 0.8  longest time per image at batch size 1, in milliseconds or percent

      With quantize alone, --max-drop is --mixed-drop: precision is chosen layer by layer. If
      the goals are out of reach, the exit code is 3 and the message says what came closest.

      """
    case .data:
      """
      Data for 'swiftlet train', 'compress', 'evaluate', 'compare' and 'sensitivity'.

        fashion-mnist         from --data-dir, $SWIFTLET_DATA or Debian's dataset-fashion-mnist
        cifar10:DIR           the binary version; also cifar100:DIR
        idx:DIR               files in the format of MNIST
        inputs:FILE.npz       arrays named after the model's inputs, without labels

      Then, for images, :train or :test, and a slice: [0..<1000], [80%] or [20%..<80%].

        --split 0.8           train and calibrate with 80 % of the data, judge on the rest
        --judge SPEC          judge on other data; without :train, on their test part

      Without either, training and calibration use the training part, and the test part judges.
      Data that name :test are divided 0.8 to 0.2, which is reported. Without labels, what does
      not train still works; the answers are compared with the original's on samples that are
      held back: at least a quarter, of two samples one.

        swiftlet compress model.onnx --technique quantize --data inputs:samples.npz -o int8.onnx
        swiftlet compress speech.onnx --technique quantize --data inputs:sound.npz \\
          --fixed rate=16000 --judged-output words -o int8.onnx

      --fixed gives inputs that are the same for all samples. What changes weights alone needs
      no data:

        swiftlet compress encoder.onnx --technique quantize --mode dynamic -o int8.onnx

      --preprocess says how pixels are scaled, and is kept in the model that is written:
      imagenet (by ImageNet's means and deviations), half (-1...1), unit (0...1) or raw
      (0...255). By default the model's metadata decide; without them, imagenet is guessed for
      three channels and half for others. --extent sets dimensions that the model leaves open;
      without data they are guessed (224 pixels, 128 tokens, 16 000 samples of sound).

      """
    case .settings: SettingsReference.markdown
    }
  }
}
