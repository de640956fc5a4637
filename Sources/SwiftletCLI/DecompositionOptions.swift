public import ArgumentParser
public import Swiftlet

extension AllocationStrategy: ExpressibleByArgument {}
extension AllocationCost: ExpressibleByArgument {}
extension LayerPrecision: ExpressibleByArgument {}
extension Preset: ExpressibleByArgument {}

/// How `svd`, `lowrank` and `eigen` cut layers, and `prune` chooses among them. What is left out keeps
/// the settings' defaults.
struct DecompositionOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "How convolutions are cut, the best of several separated by commas: channel (k×k, 1×1), spatial (k×1, 1×k), tucker (1×1, k×k, 1×1), cp (1×1, depthwise, 1×1); default of lowrank: all, of eigen: channel. With prune among them, such as prune,channel,tucker, channels are removed too where that saves more for what it damages.",
      valueName: "methods"))
  var methods: MethodList?

  @Flag(help: "Fit factors to the weights alone, not to what the layers see and answer.")
  var plain = false

  @Option(
    help: ArgumentHelp(
      "How ranks, and with --ratio the channels of prune, are chosen: budget (default) and greedy: over all layers, so that together they cost --ratio of now, and layers that would get no faster stay as they are; ratio: each layer keeps --ratio of its operations; energy; evbmf.",
      valueName: "strategy"))
  var allocation: AllocationStrategy?

  @Option(
    help: ArgumentHelp(
      "What greedy and budget spend: milliseconds (default), measured here, macs or bytes.",
      valueName: "cost"))
  var cost: AllocationCost?

  @Option(help: "Images at once for which layers are timed; default: 32, fewer of large images.")
  var timingBatch: Int?

  @Option(
    help: ArgumentHelp(
      "In what layers are timed: fp32 (default), bf16, or int8 if quantize follows.",
      valueName: "precision"))
  var timingPrecision: LayerPrecision?

  @Option(
    help: ArgumentHelp(
      "Precisions to choose among for each layer within the same budget, such as fp32,bf16,int8,int4; --ratio is of the widest, and a following quantize keeps to the choice.",
      valueName: "precisions"))
  var precisions: PrecisionList?

  /// The options that were given.
  var given: [String] {
    let options: [(name: String, isGiven: Bool)] = [
      ("--methods", methods != nil),
      ("--plain", plain),
      ("--allocation", allocation != nil),
      ("--cost", cost != nil),
      ("--timing-batch", timingBatch != nil),
      ("--timing-precision", timingPrecision != nil),
      ("--precisions", precisions != nil),
    ]
    return options.filter(\.isGiven).map(\.name)
  }

  var settings: DecompositionSettings {
    var settings = DecompositionSettings()
    if let methods { (settings.methods, settings.prunes) = (methods.values, methods.prunes) }
    settings.dataAware = !plain
    settings.allocation = allocation ?? settings.allocation
    settings.cost = cost ?? settings.cost
    settings.batch = timingBatch
    settings.precision = timingPrecision ?? settings.precision
    settings.precisions = precisions?.values
    return settings
  }
}

/// Precisions separated by commas, as in `--precisions fp32,int8`.
struct PrecisionList: ExpressibleByArgument {
  let values: [LayerPrecision]

  init?(argument: String) {
    var settings = DecompositionSettings()
    let names = argument.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    guard (try? settings.setPrecisions(names)) != nil else { return nil }
    values = settings.precisions ?? []
  }
}

/// Methods separated by commas, as in `--methods spatial,tucker`; `prune` may be beside them.
struct MethodList: ExpressibleByArgument {
  let values: [DecompositionMethod]
  let prunes: Bool

  init?(argument: String) {
    var settings = DecompositionSettings()
    let names = argument.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    guard (try? settings.setMethods(names)) != nil else { return nil }
    (values, prunes) = (settings.methods ?? [], settings.prunes)
  }
}
