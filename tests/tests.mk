# SPDX-License-Identifier: GPL-2.0-or-later
# Tests. Each program below tests/unit and tests/umockdev is one file and links everything but the main()s.

TEST_PACKAGES := cmocka
TEST_CFLAGS = $(shell pkg-config --cflags $(TEST_PACKAGES) umockdev-1.0 fuse3 2>/dev/null) -Itests/lib
TEST_LIBS = $(shell pkg-config --libs $(TEST_PACKAGES) fuse3 2>/dev/null)
.SECONDARY:
UNIT_TESTS := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(wildcard tests/unit/test-*.c))
UMOCKDEV_TESTS := $(patsubst tests/umockdev/%.c,$(BUILD)/tests/umockdev/%,$(wildcard tests/umockdev/test-*.c))
E2E_TESTS := $(patsubst tests/e2e/%.c,$(BUILD)/tests/e2e/%,$(wildcard tests/e2e/test-*.c))
TEST_LIB := $(BUILD)/libtest.a

$(TEST_LIB): $(patsubst tests/lib/%.c,$(BUILD)/obj/tests/lib/%.o,$(wildcard tests/lib/*.c))
	@rm -f $@
	$(call say,AR)ar rcs $@ $^

$(BUILD)/obj/tests/%.o: ALL_CFLAGS += $(TEST_CFLAGS)

# So that tests/lib/fail-alloc.h can let an allocation fail.
WRAP := -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=reallocarray,--wrap=strdup
WRAPPER := $(BUILD)/obj/tests/lib/fail-alloc.o
$(BUILD)/tests/unit/%: $(BUILD)/obj/tests/unit/%.o $(WRAPPER) $(TEST_LIB) $(HELPER_OBJECTS) $(BUILD)/libiommud.a $(CORE)
	@mkdir -p $(@D)
	$(call say,LD)$(CC) $(ALL_LDFLAGS) $(WRAP) -o $@ $^ $(LIBS) $(TEST_LIBS)

# In the midst of which a process may die.
$(BUILD)/tests/unit/test-helper-memlock: WRAP += -Wl,--wrap=prlimit

# iommuctl's parts, for their own tests only: they are no library.
$(BUILD)/tests/unit/test-iommuctl-%: $(BUILD)/obj/tests/unit/test-iommuctl-%.o $(TEST_LIB) \
		$(filter-out %/main.o,$(IOMMUCTL_OBJECTS)) $(BUILD)/libiommud.a $(CORE)
	@mkdir -p $(@D)
	$(call say,LD)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS) $(TEST_LIBS)

$(BUILD)/tests/umockdev/%: $(BUILD)/obj/tests/umockdev/%.o $(TEST_LIB) $(CORE)
	@mkdir -p $(@D)
	$(call say,LD)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS) $(TEST_LIBS) $(shell pkg-config --libs umockdev-1.0 2>/dev/null)

$(BUILD)/tests/e2e/%: $(BUILD)/obj/tests/e2e/%.o $(TEST_LIB) $(BUILD)/libiommud.a $(CORE)
	@mkdir -p $(@D)
	$(call say,LD)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS) $(TEST_LIBS)

.PHONY: check-unit check-e2e
check-unit: $(UNIT_TESTS) $(UMOCKDEV_TESTS)
	tests/tools/run-tap unit $(BUILD) $(UNIT_TESTS) $(UMOCKDEV_TESTS)

check-e2e: all $(E2E_TESTS) $(BUILD)/tests/e2e/fake-iommud
	tests/tools/run-tap e2e $(BUILD) $(E2E_TESTS) $(sort $(wildcard tests/e2e/*.sh))

# The same under ASan and UBSan, in a build of their own.
ASAN := $(MAKE) --no-print-directory BUILD=build/asan SANITIZE=1
.PHONY: check-asan check-kmod check-vm check-kernel-debug lint
check-asan:
	@$(ASAN) build-asan-tests
	@tests/tools/run-tap asan build/asan $$($(ASAN) -s print-tests)

.PHONY: build-asan-tests print-tests
build-asan-tests: all $(UNIT_TESTS) $(UMOCKDEV_TESTS) $(E2E_TESTS) $(BUILD)/tests/e2e/fake-iommud
print-tests:
	@echo $(UNIT_TESTS) $(UMOCKDEV_TESTS) $(E2E_TESTS) $(sort $(wildcard tests/e2e/*.sh))

check-kmod:
	@tests/tools/check-kmod

check-vm: all
	@tests/vm/run --cases '$(or $(CASES),*)'

# The module under lockdep, KASAN, kmemleak and failing memory: some minutes, and a kernel to build the first time. Not part of
# `make check`.
check-kernel-debug:
	@tests/vm/run --kernel debug --cases '$(or $(CASES),*)'

# What is the same for longer: two hours at most. Not part of `make check`.
.PHONY: soak
soak: all
	@SOAK=1 tests/vm/run --cases '@(06-race|45-random-kills)'

lint:
	@tests/tools/lint

# libFuzzer, SECONDS= each (60), one build for all. Not part of `make check`.
FUZZ_SECONDS := $(if $(filter environment%,$(origin SECONDS)),60,$(or $(SECONDS),60))
FUZZ_FLAGS := BUILD=build/fuzz CC=clang CFLAGS='-g -fsanitize=fuzzer-no-link,address,undefined'
.PHONY: fuzz
fuzz:
	@$(MAKE) --no-print-directory $(FUZZ_FLAGS) build/fuzz/libcore.a build/fuzz/libtest.a
	@for target in policy varlink; do \
		mkdir -p build/fuzz/corpus-$$target && \
		clang -g -std=gnu11 -D_GNU_SOURCE -Isrc -Itests/lib $$(pkg-config --cflags $(PACKAGES) cmocka) \
			-fsanitize=fuzzer,address,undefined -o build/fuzz/fuzz-$$target tests/fuzz/fuzz-$$target.c \
			build/fuzz/libtest.a build/fuzz/libcore.a $(LIBS) $(TEST_LIBS) && \
		build/fuzz/fuzz-$$target -max_len=20000 -max_total_time=$(FUZZ_SECONDS) -print_final_stats=1 \
			-artifact_prefix=build/fuzz/ build/fuzz/corpus-$$target policy/examples 2>&1 | tail -n 6 || exit 1; \
	done
