/* SPDX-License-Identifier: Apache-2.0 */

/* Instruction set tiers and CPU features. */
#pragma once
#include <stdbool.h>

/* Lowest first. Each includes the ones below. */
typedef enum { SWL_ISA_SCALAR, SWL_ISA_AVX2, SWL_ISA_AVX512, SWL_ISA_AVX512VNNI } swl_isa;

/* The highest tier this CPU can run. */
swl_isa swl_isa_supported(void);

/* Whether the CPU has the feature with this name; see swl_cpu_feature_name. */
int swl_cpu_feature_count(void);
const char *swl_cpu_feature_name(int index);
bool swl_cpu_has_feature(int index);
