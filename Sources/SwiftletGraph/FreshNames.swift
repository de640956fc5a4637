import OrderedCollections

/// Generates names for values and nodes that are unused in a graph, each of them once.
package struct FreshNames {
  private var used: Set<String>

  package init(_ graph: Graph) {
    used = Set(graph.initializers.keys).union(graph.inputs.map(\.name))
    for node in graph.nodes {
      used.insert(node.name)
      used.formUnion(node.outputs)
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
