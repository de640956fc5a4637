/* Packed weights are one stream for each vector of columns, group after group:
 *     scales    lanes x fp32
 *     zeros     lanes x u8
 *     codes     a word of 32 bits for each column and eight terms, the first term in the lowest bits;
 *               words of terms that are not there are left out, their places in the last word are 0. */
#pragma once
#include "../include/swiftlet_groupwise_kernels.h"

#define SWL_GROUPWISE_KERNEL(variant) extern const swl_groupwise_kernel swl_groupwise_##variant;
#include "groupwise.def"
#undef SWL_GROUPWISE_KERNEL

enum { SWL_CODES_PER_WORD = 8 };

static inline size_t swl_groupwise_group_size(size_t lanes, size_t terms) {
  const size_t words = (terms + SWL_CODES_PER_WORD - 1) / SWL_CODES_PER_WORD;
  return lanes * (sizeof(float) + 1 + 4 * words);
}

/* Bytes of one stream. */
static inline size_t swl_groupwise_stream_size(size_t lanes, size_t depth, size_t group) {
  const size_t rest = depth % group;
  return depth / group * swl_groupwise_group_size(lanes, group) +
         (rest > 0 ? swl_groupwise_group_size(lanes, rest) : 0);
}
