#pragma once

int SwiftletFuzz_main(int argc, char **argv);
