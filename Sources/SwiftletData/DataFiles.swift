// SPDX-License-Identifier: Apache-2.0

import SwiftletFiles
import SwiftletFormats

/// The files that data are read from.
package enum DataFiles {
  /// Paths that a text for `--data` may mean, of all parts, whether they exist or not: what must
  /// not be replaced by what is made of them. None of a text that cannot be understood.
  package static func paths(of text: String, dataDirectory: String? = nil) -> [String] {
    guard let spec = try? DataSpec(parsing: text) else { return [] }
    func paths(_ folders: [String], _ names: [String]) -> [String] {
      folders.flatMap { folder in names.map { InputFile.join(folder, $0) } }
    }
    switch spec.source {
    case .fashionMNIST:
      return paths(FashionMNIST.searchPath(dataDirectory: dataDirectory), IDXFolder.fileNames)
    case .idx(let folder): return paths([folder], IDXFolder.fileNames)
    case .images:
      // Without parts, either would list the same pictures.
      let parts = spec.hasParts() ? DataSpec.Part.allCases : [.train]
      return parts.flatMap { pictures(spec, $0) }
    case .list(let file): return [file] + pictures(spec, .train)
    case .npz(let path), .inputs(let path): return (try? ArrayFile.files(of: path)) ?? [path]
    case .npy(let samples, let labels): return [samples] + (labels.map { [$0] } ?? [])
    case .cifar10(let folder): return paths(CIFAR.cifar10.folders(folder), CIFAR.cifar10.fileNames)
    case .cifar100(let folder):
      return paths(CIFAR.cifar100.folders(folder), CIFAR.cifar100.fileNames)
    }
  }

  private static func pictures(_ spec: DataSpec, _ part: DataSpec.Part) -> [String] {
    guard let images = try? spec.whole.listed(part, isLenient: true),
      case .files(let files) = images.pixels
    else { return [] }
    return files.paths
  }
}
