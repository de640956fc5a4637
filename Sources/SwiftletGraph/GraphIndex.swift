/// The producer and the consumers of each value of a graph.
///
/// Built in one pass over the nodes, whereas ``Graph/producer(of:)`` and ``Graph/consumers(of:)``
/// search all of them for each query. It is a snapshot: later changes to the graph are not
/// reflected.
package struct GraphIndex {
  /// The position of the node that writes the value; none for inputs and initializers.
  package let producers: [String: Int]
  /// Positions of the nodes that read the value, without duplicates, in execution order.
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
