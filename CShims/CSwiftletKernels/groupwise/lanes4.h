/* SPDX-License-Identifier: Apache-2.0 */

/* Four fp32 numbers in plain C, with the names of lanes/scalar.h: with one at a time, packing and
 * decoding would be one at a time, too. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#pragma STDC FP_CONTRACT OFF

#define LANES 4
#define SWL_TARGET
#define LANE_FN __attribute__((always_inline)) static inline

/* The compiler supports operators on such vectors without SIMD instructions. */
typedef float vf __attribute__((vector_size(4 * LANES)));

LANE_FN vf vf_set(float x) { return (vf){x, x, x, x}; }
LANE_FN vf vf_load(const float *p, size_t n) {
  vf v = vf_set(0);
  memcpy(&v, p, 4 * (n < LANES ? n : LANES));
  return v;
}
LANE_FN void vf_store(float *p, vf v, size_t n) { memcpy(p, &v, 4 * (n < LANES ? n : LANES)); }
LANE_FN vf vf_fma(vf a, vf b, vf c) { return a * b + c; }
LANE_FN vf vf_max(vf a, vf b) {
  for (int i = 0; i < LANES; i++) b[i] = a[i] > b[i] ? a[i] : b[i];
  return b;
}
LANE_FN vf vf_min(vf a, vf b) {
  for (int i = 0; i < LANES; i++) b[i] = a[i] < b[i] ? a[i] : b[i];
  return b;
}
