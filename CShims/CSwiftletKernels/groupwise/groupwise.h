/* SPDX-License-Identifier: Apache-2.0 */

/* Packed weights are one stream for each vector of columns, group after group:
 *     scales    lanes x fp32
 *     zeros     lanes x u8
 *     offsets   for u8 rows: lanes x int32, -in_zero . (sum of codes minus zero points)
 *     codes     a word of 32 bits for each column and eight terms; for fp32 rows the first term in the
 *               lowest bits; for u8 rows the first four in the lower halves of the bytes. Words without
 *               terms are omitted; missing terms of the last word hold the zero
 *               point. */
#pragma once
#include "../include/swiftlet_groupwise_kernels.h"
#include "../kernel.h"

#define SWL_KERNEL(types, isa) extern const swl_groupwise_kernel swl_groupwise_##types##__##isa;
#include "groupwise.def"
#undef SWL_KERNEL

enum { SWL_CODES_PER_WORD = 8 };

/* Bytes before the codes of a group. */
static inline size_t swl_groupwise_head_size(swl_groupwise_type type, size_t lanes) {
  return lanes * (sizeof(float) + 1 + (type == SWL_GROUPWISE_U8U4 ? sizeof(int32_t) : 0));
}

static inline size_t swl_groupwise_group_size(swl_groupwise_type type, size_t lanes,
                                              size_t terms) {
  const size_t words = (terms + SWL_CODES_PER_WORD - 1) / SWL_CODES_PER_WORD;
  return swl_groupwise_head_size(type, lanes) + lanes * 4 * words;
}

/* Bytes of one stream. */
static inline size_t swl_groupwise_stream_size(swl_groupwise_type type, size_t lanes,
                                               size_t depth, size_t group) {
  const size_t rest = depth % group;
  return depth / group * swl_groupwise_group_size(type, lanes, group) +
         (rest > 0 ? swl_groupwise_group_size(type, lanes, rest) : 0);
}
