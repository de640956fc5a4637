// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Which node writes each value of a graph, and which nodes read it, as the nodes were at one
/// moment.
package struct GraphIndex: Sendable {
  /// The position of the node that writes the value; none for inputs and initializers.
  package let producers: [String: Int]
  /// Positions of the nodes that read the value, without duplicates, in execution order.
  package let consumers: [String: [Int]]

  fileprivate init(_ nodes: [Node]) {
    var producers: [String: Int] = [:]
    var consumers: [String: [Int]] = [:]
    for (index, node) in nodes.enumerated() {
      for name in node.outputs where !name.isEmpty { producers[name] = index }
      for name in Set(node.reads) where !name.isEmpty { consumers[name, default: []].append(index) }
    }
    (self.producers, self.consumers) = (producers, consumers)
  }

  package func consumers(of value: String) -> [Int] { consumers[value] ?? [] }
}

/// The index of a graph, kept until its nodes change. No part of the graph's value: all are equal.
struct CachedIndex: Sendable, Equatable {
  private final class Box: Sendable {
    let index = Mutex<GraphIndex?>(nil)
  }

  /// Shared by copies of a graph as long as none of them changes.
  private var box = Box()

  mutating func forget() {
    if isKnownUniquelyReferenced(&box) {
      box.index.withLock { $0 = nil }
    } else {
      box = Box()
    }
  }

  func index(of nodes: [Node]) -> GraphIndex {
    box.index.withLock { known in
      if let known { return known }
      let made = GraphIndex(nodes)
      known = made
      return made
    }
  }

  static func == (first: CachedIndex, second: CachedIndex) -> Bool { true }
}
