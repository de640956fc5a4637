// SPDX-License-Identifier: Apache-2.0

import Swiftlet

/// The topics of `swiftlet help` besides commands.
enum HelpTopic: String, CaseIterable {
  case techniques, goals, data
  /// The content of docs/settings.md.
  case settings

  /// The topic requested by the arguments; `nil` if there is none.
  init?(arguments: [String]) {
    guard arguments.count == 2, arguments[0] == "help" else { return nil }
    self.init(rawValue: arguments[1])
  }

  /// What goals search for, as a paragraph.
  private static var search: String {
    let techniques = Technique.allCases.filter(\.canVary).map(\.rawValue)
    return SettingsText.indented(
      "Goals of 'swiftlet compress'. With a goal, compress searches for the right strength of "
        + "techniques that have one (\(techniques.joined(separator: ", "))): the mildest that "
        + "reaches the targets, or with --max-drop alone the strongest that stays within the drop.",
      first: "", rest: "")
  }

  var text: String {
    switch self {
    case .techniques:
      """
      The techniques of 'swiftlet compress' and their settings. Techniques are applied in the order
      given. Options become keys in a recipe: --learning-rate 0.01 is 'learningRate: 0.01', and
      --no-flip is 'flip: false'. An option applies to each technique in the list that has it; an
      option that none has, or that does nothing with the others, is an error. Options that take
      names of layers may be repeated.

      \(SettingsText.all)

      A recipe is a YAML file with a list of steps, for --recipe:

        steps:
          - technique: lowrank
            ratio: 0.5
          - technique: quantize
            calibrationImages: 512

      Presets: fast (low-rank factors where they save time, then int8; no training), balanced (43 %
      of the channels, distillation, int8 with training) and smallest (33 %, longer distillation).
      A preset leaves out steps that do not help the model.

      """
    case .goals:
      """
      \(Self.search)

        --max-drop 0.5        lose at most 0.5 percentage points of top-1 accuracy on the images
                              to judge on; needs labels
        --confidence 95%      make --max-drop or --mixed-drop hold with this confidence level (also
                              written 0.95), by a paired test on these images
        --target-size 200k    largest file size, in bytes (200k, 1.5M) or percent (50%)
        --target-macs 30%     most multiply-accumulate operations per image, likewise
        --target-latency 0.8  longest time per image at batch size 1, in milliseconds or percent

      With quantize alone, --max-drop means --mixed-drop: the precision of each layer is chosen. If
      no strength reaches the goals, the exit code is 3 and the message says what the last attempt
      missed.

      """
    case .data:
      """
      Data for 'swiftlet train', 'compress', 'evaluate', 'compare' and 'sensitivity'.

        images:DIR            pictures (JPEG, PNG, WebP, BMP), a folder for each class; or DIR/train
                              and DIR/val with such folders
        list:FILE.csv         pictures and classes: PATH,LABEL in each line; tabs in a .tsv
        fashion-mnist         from --data-dir, $SWIFTLET_DATA or Debian's dataset-fashion-mnist
        cifar10:DIR           the binary version of CIFAR-10; also cifar100:DIR
        idx:DIR               files in the format of MNIST
        inputs:FILE.npz       arrays named after the model's inputs, without labels

      Image data may be followed by :train or :test, and a slice: [0..<1000], [80%] or [20%..<80%].

        --split 0.8           train and calibrate with 80 % of the data, judge on the rest
        --judge SPEC          judge on other data; without :train, on its test part

      Without either, training and calibration use the training part, and models are judged on the
      test part. Data with :test, or without parts, is split 0.8 to 0.2, which is reported. Without
      labels, everything that does not train still works; answers are compared with the original's
      on samples that are held back: at least a quarter of them. 'compare' compares the answers of
      models.

        swiftlet evaluate model.onnx --data images:photos/val
        swiftlet compress model.onnx --technique quantize --data images:photos -o int8.onnx
        swiftlet compress model.onnx --technique quantize --data inputs:samples.npz -o int8.onnx
        swiftlet compress speech.onnx --technique quantize --data inputs:sound.npz \\
          --fixed rate=16000 --judged-output words -o int8.onnx

      --fixed sets inputs that are the same for all samples. Steps that only change weights need no
      data:

        swiftlet compress encoder.onnx --technique quantize --mode dynamic -o int8.onnx

      --preprocess sets how pixels are scaled, and is stored in the model that is written: imagenet
      (by ImageNet's means and deviations), half (-1...1), unit (0...1) or raw (0...255). By
      default, the model's metadata decide; without them, imagenet is guessed for three channels
      and half for others. The shorter side of pictures in files is resized to 8/7 of the model's
      size, and the center is cropped. --extent sets open dimensions of the model; without data
      they are guessed (224 pixels, 128 tokens, 16 000 samples of sound).

      """
    case .settings: SettingsReference.markdown
    }
  }
}
