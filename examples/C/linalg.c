/* SPDX-License-Identifier: Apache-2.0 */

#include <stdio.h>
#include <swiftlet.h>

int main(void) {
  double a[] = {2, 0, 0, 3, 4, 0}, s[2], u[6], vt[4]; /* 3 x 2 */
  if (swiftlet_svd_f64(3, 2, a, 2, s, u, 2, vt, 2, 1) != SWIFTLET_OK) {
    fprintf(stderr, "swiftlet: %s\n", swiftlet_last_error());
    return 1;
  }
  printf("singular values %.4f %.4f\n", s[0], s[1]);
}
