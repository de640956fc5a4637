/* SPDX-License-Identifier: Apache-2.0 */

#pragma once

int SwiftletFuzz_main(int argc, char **argv);
