// SPDX-License-Identifier: Apache-2.0

import OrderedCollections

/// Names for values and nodes that a graph and those within it do not use, none of them twice.
package struct FreshNames {
  private var used: Set<String>

  package init(_ graph: Graph) {
    used = []
    use(graph)
  }

  private mutating func use(_ graph: Graph) {
    used.formUnion(graph.initializers.keys)
    used.formUnion(graph.inputs.map(\.name))
    used.formUnion(graph.outputs.map(\.name))
    for node in graph.nodes {
      used.insert(node.name)
      // Names that a subgraph reads from the outer graph are taken too.
      used.formUnion(node.inputs)
      used.formUnion(node.outputs)
      for case .graph(let inner) in node.attributes.values { use(inner) }
    }
  }

  /// The name itself if it is free, otherwise with the first number appended that makes it unique.
  package mutating func next(_ base: String) -> String {
    var (name, suffix) = (base, 1)
    while !used.insert(name).inserted {
      suffix += 1
      name = "\(base)_\(suffix)"
    }
    return name
  }
}
