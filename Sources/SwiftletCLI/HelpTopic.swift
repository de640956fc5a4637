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

        --max-drop 0.5        lose at most 0.5 percentage points of the metric (or 0.5 of its own
                              unit) on what models are judged on
        --max-drop 1%         lose at most 1 % of the original's score
        --confidence 95%      make --max-drop or --mixed-drop hold with this confidence level (also
                              written 0.95), by a paired test on the same samples
        --target-size 200k    largest file size, in bytes (200k, 1.5M) or percent (50%)
        --target-macs 30%     most multiply-accumulate operations per image, likewise
        --target-latency 0.8  longest time per image at batch size 1, in milliseconds or percent

      With quantize alone, --max-drop means --mixed-drop: the precision of each layer is chosen, so
      that the limit holds with 95 % confidence unless --confidence says otherwise. Few samples
      cannot show that: with 48, a drop below 5 points. If no strength reaches the goals, the exit
      code is 3 and the message says what the last attempt missed.

      Metrics, for --metric of 'swiftlet compress', 'evaluate', 'compare' and 'sensitivity':

        top1, top5            accuracy, with labels; top1 is the default
        agreement             how often answers are those of the original model: the same top-1
                              class, the same direction, equal integers; the default without labels
        cosine                similarity of embeddings to the original's
        retrieval             whether embeddings find others in the original's order (Spearman)
        mse                   squared error, of targets or of the original's answers (lower is
                              better)
        miou                  mean intersection over union, of scores N×K×H×W
        command:'CMD'         what a command of yours prints as its last line, for example mean
                              average precision; command-:'CMD' if lower is better

      Drops of top1, top5, agreement and miou are in percentage points. Targets are labels of npz:
      data that are not classes, or arrays of inputs:FILE.npz that are named after an output, or
      'targets'; masks are integers N×H×W, and 255 does not count. 'evaluate' needs --original
      MODEL.onnx for metrics that compare with it.

      A command gets the path of an npz file as $1, or at its end: outputs by name, sample_names,
      sample_indices, and sample_labels and sample_targets if there are some. For confidence levels
      it also scores 30 random halves of the samples, so it must judge only those it is given.

        swiftlet compress model.onnx --technique quantize --metric miou --max-drop 1% \\
          --data inputs:scenes.npz -o int8.onnx
        swiftlet evaluate small.onnx --original model.onnx --metric agreement --data inputs:x.npz
        swiftlet evaluate detector.onnx --metric command:'python3 map.py' --data images:val

      """
    case .data:
      """
      Data for 'swiftlet train', 'compress', 'evaluate', 'compare' and 'sensitivity'.

        images:DIR            pictures (JPEG, PNG, WebP, BMP), a folder for each class; without
                              folders, they have no labels; or DIR/train and DIR/val of either kind
        list:FILE.csv         pictures and classes: PATH,LABEL in each line; tabs in a .tsv; without
                              labels PATH
        fashion-mnist         from --data-dir, $SWIFTLET_DATA or Debian's dataset-fashion-mnist
        cifar10:DIR           the binary version of CIFAR-10; also cifar100:DIR
        idx:DIR               files in the format of MNIST
        npz:FILE.npz          arrays: images or x, and labels or y; x_train, y_train, x_test and
                              y_test are parts
        npy:X.npy,Y.npy       the same in a file each
        inputs:FILE.npz       arrays named after the model's inputs, without labels

      Data may be followed by :train or :test if they have parts, and by a slice: [0..<1000], [80%]
      or [20%..<80%]. :unlabelled before the slice ignores labels: images:DIR:unlabelled takes all
      pictures in DIR and below. Pictures are decoded ahead of the model, and kept for later passes,
      within --loader-memory. --skip-damaged decodes all of them first, and leaves out those that
      cannot be.

      Arrays are read as they are needed, so that files may be larger than memory. npz: and inputs:
      also take a .safetensors file, or a folder of such files that each hold some of the samples.
      uint8 arrays of shape N×C×H×W, N×H×W×C or N×H×W are images; other numbers are fed to the model
      as they are. Integer labels, one for each sample, are classes; other labels are targets for
      measures other than accuracy.

        --split 0.8           train and calibrate with 80 % of the data, judge on the rest
        --judge SPEC          judge on other data; without :train, on its test part

      Without either, training and calibration use the training part, and models are judged on the
      test part. Data with :test, or without parts, is split 0.8 to 0.2, which is reported. Without
      labels, everything that does not train still works; answers are compared with the original's
      on samples that are held back: at least a quarter of them. 'compare' compares the answers of
      models.

        swiftlet evaluate model.onnx --data images:photos/val
        swiftlet compress model.onnx --technique quantize --data images:photos -o int8.onnx
        swiftlet compress model.onnx --technique quantize --data npz:mnist.npz -o int8.onnx
        swiftlet compress model.onnx --technique quantize --data images:all:unlabelled -o int8.onnx
        swiftlet compress model.onnx --technique quantize --data inputs:samples.npz -o int8.onnx
        swiftlet compress speech.onnx --technique quantize --data inputs:sound.npz \\
          --fixed rate=16000 --judged-output words -o int8.onnx

      --fixed sets inputs that are the same for all samples. Steps that only change weights need no
      data:

        swiftlet compress encoder.onnx --technique quantize --mode dynamic -o int8.onnx

      --preprocess says how images become the model's input, and is stored in the model that is
      written: imagenet (by ImageNet's means and deviations), half (-1...1), unit (0...1), raw
      (0...255), caffe (BGR, 0...255 less ImageNet's means), or a file: preprocessor_config.json of
      Hugging Face, config.json of timm, or YAML such as

        resize: shorter         # or exact, letterbox, none
        to: 256                 # pixels; or 'crop: 0.875', the part that is kept
        interpolation: bicubic  # or nearest, bilinear, area, lanczos
        scale: 1/255
        mean: [0.485, 0.456, 0.406]
        deviation: [0.229, 0.224, 0.225]

      docs/preprocessing.md has all keys: also colours (rgb, bgr), layout (nchw, nhwc), border,
      antialias, cropRounding and size. By default, the model's metadata decide, also those of
      Ultralytics' exports; without them, the scaling is guessed: raw or unit for models that
      evidently normalize such pixels, raw for inputs of integers, else imagenet for three channels
      and half for others. The shorter side of pictures in files is resized to 8/7 of the model's
      size, and the center is cropped. --extent sets open dimensions of the model; without data
      they are guessed (224 pixels, 128 tokens, 16 000 samples of sound).

      """
    case .settings: SettingsReference.markdown
    }
  }
}
