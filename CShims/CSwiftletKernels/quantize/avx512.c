/* SPDX-License-Identifier: Apache-2.0 */

#include "quantize.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define SWL_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq")))

/* Sixteen quotients, rounded and shifted by the zero point, as int32. */
SWL_AVX512 static inline __m512i quantized16(const float *x, __m512 scale, __m512i zero_point) {
  __m512 quotient = _mm512_div_ps(_mm512_loadu_ps(x), scale);
  __mmask16 number = _mm512_cmp_ps_mask(quotient, quotient, _CMP_ORD_Q);
  quotient = _mm512_min_ps(_mm512_max_ps(quotient, _mm512_set1_ps(-1024)), _mm512_set1_ps(1024));
  return _mm512_add_epi32(_mm512_maskz_cvtps_epi32(number, quotient), zero_point);
}

SWL_AVX512 static void quantize_f32_u8(size_t count, const float *x, float scale,
                                       int32_t zero_point, uint8_t *q) {
  __m512 s = _mm512_set1_ps(scale);
  __m512i z = _mm512_set1_epi32(zero_point);
  size_t i = 0;
  for (; i + 16 <= count; i += 16) {
    /* The conversion saturates from unsigned, so negative numbers are cut off first. */
    __m512i values = _mm512_max_epi32(quantized16(x + i, s, z), _mm512_setzero_si512());
    _mm_storeu_si128((__m128i *)(q + i), _mm512_cvtusepi32_epi8(values));
  }
  swl_quantize__scalar.quantize_f32_u8(count - i, x + i, scale, zero_point, q + i);
}

SWL_AVX512 static void quantize_f32_s8(size_t count, const float *x, float scale,
                                       int32_t zero_point, int8_t *q) {
  __m512 s = _mm512_set1_ps(scale);
  __m512i z = _mm512_set1_epi32(zero_point);
  size_t i = 0;
  for (; i + 16 <= count; i += 16)
    _mm_storeu_si128((__m128i *)(q + i), _mm512_cvtsepi32_epi8(quantized16(x + i, s, z)));
  swl_quantize__scalar.quantize_f32_s8(count - i, x + i, scale, zero_point, q + i);
}

SWL_AVX512 static void dequantize_u8_f32(size_t count, const uint8_t *q, float scale,
                                         int32_t zero_point, float *x) {
  __m512 s = _mm512_set1_ps(scale);
  __m512i z = _mm512_set1_epi32(zero_point);
  size_t i = 0;
  for (; i + 16 <= count; i += 16) {
    __m512i wide = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(q + i)));
    _mm512_storeu_ps(x + i, _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_sub_epi32(wide, z)), s));
  }
  swl_quantize__scalar.dequantize_u8_f32(count - i, q + i, scale, zero_point, x + i);
}

SWL_AVX512 static void dequantize_s8_f32(size_t count, const int8_t *q, float scale,
                                         int32_t zero_point, float *x) {
  __m512 s = _mm512_set1_ps(scale);
  __m512i z = _mm512_set1_epi32(zero_point);
  size_t i = 0;
  for (; i + 16 <= count; i += 16) {
    __m512i wide = _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(q + i)));
    _mm512_storeu_ps(x + i, _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_sub_epi32(wide, z)), s));
  }
  swl_quantize__scalar.dequantize_s8_f32(count - i, q + i, scale, zero_point, x + i);
}

const swl_quantize_kernel swl_quantize__avx512 = {
    SWL_HEAD(avx512),
    .quantize_f32_u8 = quantize_f32_u8,
    .quantize_f32_s8 = quantize_f32_s8,
    .dequantize_u8_f32 = dequantize_u8_f32,
    .dequantize_s8_f32 = dequantize_s8_f32,
};

#endif
