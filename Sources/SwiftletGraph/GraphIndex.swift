/// Which node writes each value of a graph, and which nodes read it.
///
/// Built in one pass over the nodes, where ``Graph/producer(of:)`` and ``Graph/consumers(of:)`` walk
/// all of them for each question. It describes the graph as it was then.
package struct GraphIndex {
  /// The position of the node that writes the value; none for inputs and initializers.
  package let producers: [String: Int]
  /// Positions of the nodes that read the value, each of them once, in the order they run.
  package let consumers: [String: [Int]]

  package init(_ graph: Graph) {
    var producers: [String: Int] = [:]
    var consumers: [String: [Int]] = [:]
    for (index, node) in graph.nodes.enumerated() {
      for name in node.outputs where !name.isEmpty { producers[name] = index }
      for name in Set(node.reads) where !name.isEmpty { consumers[name, default: []].append(index) }
    }
    (self.producers, self.consumers) = (producers, consumers)
  }

  package func consumers(of value: String) -> [Int] { consumers[value] ?? [] }
}
