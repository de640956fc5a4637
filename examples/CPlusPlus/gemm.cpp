/* SPDX-License-Identifier: Apache-2.0 */

// A matrix product, with a thin wrapper that throws on errors.
#include <swiftlet.h>

#include <iostream>
#include <stdexcept>
#include <vector>

static void check(swiftlet_status status) {
  if (status != SWIFTLET_OK) throw std::runtime_error(swiftlet_last_error());
}

int main() {
  const std::vector<float> a{1, 2, 3, 4}, b{0, 1, 1, 0};
  std::vector<float> c(4);
  check(swiftlet_gemm_f32(0, 0, 2, 2, 2, 1, a.data(), 2, b.data(), 2, 0, c.data(), 2, 1));
  std::cout << "product " << c[0] << " " << c[1] << " " << c[2] << " " << c[3] << "\n";
  try {
    check(swiftlet_gemm_f32(0, 0, 2, 2, 2, 1, nullptr, 2, b.data(), 2, 0, c.data(), 2, 1));
  } catch (const std::runtime_error &error) {
    std::cout << "rejected: " << error.what() << "\n";
  }
}
