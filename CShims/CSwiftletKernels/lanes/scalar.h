/* SPDX-License-Identifier: Apache-2.0 */

/* One channel at a time. Every lanes/ header defines the same names; family bodies are written once
 * in terms of them. `n` is the number of active lanes: LANES or more means all of them. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "bf16.h"

#pragma STDC FP_CONTRACT OFF

#define LANES 1
#define BYTE_LANES 1
#define SWL_TARGET
#define LANE_FN __attribute__((always_inline)) static inline

typedef float vf;
typedef int32_t vi;
typedef uint8_t vb;
typedef int vm;
typedef struct {
  uint8_t x[4];
} vx4;
typedef struct {
  int8_t w[4];
} vw4;

LANE_FN vf vf_set(float x) { return x; }
LANE_FN vi vi_set(int32_t x) { return x; }
LANE_FN vf vf_load(const float *p, size_t n) { return *p; }
LANE_FN void vf_store(float *p, vf v, size_t n) { *p = v; }
LANE_FN vf vf_load_bf16(const uint16_t *p, size_t n) { return swl_from_bf16(*p); }
LANE_FN void vf_store_bf16(uint16_t *p, vf v, size_t n) { *p = swl_bf16(v); }
/* The bf16 in the lower half of each lane. */
LANE_FN vi vi_bf16(vf v) { return swl_bf16(v); }
LANE_FN vi vi_load(const int32_t *p, size_t n) { return *p; }
LANE_FN vi vi_load_u8(const uint8_t *p, size_t n) { return *p; }
/* The low byte of each lane. */
LANE_FN void vi_store_u8(uint8_t *p, vi v, size_t n) { *p = (uint8_t)v; }
LANE_FN vb vb_load(const uint8_t *p, size_t n) { return *p; }
LANE_FN void vb_store(uint8_t *p, vb v, size_t n) { *p = v; }
LANE_FN vb vb_max(vb a, vb b) { return a > b ? a : b; }

/* a * b + c; fused if the instruction set supports it. */
LANE_FN vf vf_fma(vf a, vf b, vf c) { return a * b + c; }
/* The second operand if the two are equal or unordered, as on x86. */
LANE_FN vf vf_max(vf a, vf b) { return a > b ? a : b; }
LANE_FN vf vf_min(vf a, vf b) { return a < b ? a : b; }
LANE_FN vm vf_less(vf a, vf b) { return a < b; }
LANE_FN vm vf_unordered(vf a) { return a != a; }
LANE_FN vf vf_select(vm m, vf yes, vf no) { return m ? yes : no; }
LANE_FN vf vf_from(vi v) { return (float)v; }
/* To the nearest integer, ties to even, for |v| < 2^22; anything for NaN. */
LANE_FN vi vi_round(vf v) { return v == v ? (int32_t)((v + 0x1.8p23f) - 0x1.8p23f) : 0; }
LANE_FN vi vi_left(vi v, int n) { return (int32_t)((uint32_t)v << n); }
LANE_FN vi vi_bits(vf v) {
  vi i;
  memcpy(&i, &v, 4);
  return i;
}
LANE_FN vf vf_bits(vi i) {
  vf v;
  memcpy(&v, &i, 4);
  return v;
}

/* One byte of each of four taps, channel by channel, and their products with four weights. */
LANE_FN vx4 vx4_load(const uint8_t *a, const uint8_t *b, const uint8_t *c, const uint8_t *d,
                     size_t n) {
  return (vx4){{*a, *b, *c, *d}};
}
LANE_FN vw4 vw4_load(const int8_t *a, const int8_t *b, const int8_t *c, const int8_t *d, size_t n) {
  return (vw4){{*a, *b, *c, *d}};
}
LANE_FN vi vi_dot4(vi acc, vx4 x, vw4 w) {
  for (int i = 0; i < 4; i++) acc += x.x[i] * w.w[i];
  return acc;
}

/* Between four vectors of LANES elements, one of each of four channels, and pixels whose channels
 * are contiguous, `stride` bytes apart: the first `r` channels of the first `n` pixels. */
LANE_FN void vf_scatter4(const vf v[4], uint8_t *out, ptrdiff_t stride, size_t n, int r) {
  for (int i = 0; i < r; i++) memcpy(out + 4 * i, &v[i], 4);
}
LANE_FN void vf_gather4(vf v[4], const uint8_t *in, ptrdiff_t stride, size_t n, int r) {
  for (int i = 0; i < 4; i++) v[i] = 0;
  for (int i = 0; i < r; i++) memcpy(&v[i], in + 4 * i, 4);
}

LANE_FN vf vf_abs(vf a) { return a < 0 ? -a : a + 0.0f; }
/* The size of a with the sign of b. */
LANE_FN vf vf_copysign(vf a, vf b) {
  return vf_bits((vi_bits(a) & 0x7fffffff) | (vi_bits(b) & (int32_t)0x80000000));
}
/* a * a = s + vf_square_rest(a, s) for s = a * a rounded. */
LANE_FN vf vf_square_rest(vf a, vf s) { return (float)((double)a * (double)a - (double)s); }
/* The first n lanes of v, the others of `other`. */
LANE_FN vf vf_keep(vf v, size_t n, vf other) { return v; }

/* Sums in fp64. */
typedef double vd;
LANE_FN vd vd_zero(void) { return 0; }
LANE_FN vd vd_add(vd s, vf v) { return s + v; }
LANE_FN vd vd_add_square(vd s, vf v) { return s + (double)v * (double)v; }
LANE_FN double vd_total(vd s) { return s; }
/* v - a, rounded once. */
LANE_FN vf vf_minus(vf v, double a) { return (float)(v - a); }
