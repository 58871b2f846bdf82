/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Digests, against the vectors of FIPS 180-2. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "util/digest.h"

static void assert_digest(const char *data, size_t size, size_t piece, const char *expected)
{
	uint8_t value[DIGEST_SIZE];
	char hex[DIGEST_HEX_SIZE];
	struct digest digest;

	digest_begin(&digest);
	for (size_t done = 0; done < size; done += piece)
		digest_add(&digest, data + done, size - done < piece ? size - done : piece);
	digest_end(&digest, value);
	digest_to_hex(value, hex);
	assert_string_equal(hex, expected);
}

static void is_sha256(void **state)
{
	static const char two_blocks[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";

	assert_digest("", 0, 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	assert_digest("abc", 3, 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	for (size_t piece = 1; piece <= strlen(two_blocks); piece++)
		assert_digest(two_blocks, strlen(two_blocks), piece,
			      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

static void digest_of_texts(const char *first, const char *second, char ret[DIGEST_HEX_SIZE])
{
	uint8_t value[DIGEST_SIZE];
	struct digest digest;

	digest_begin(&digest);
	digest_add_text(&digest, first);
	digest_add_text(&digest, second);
	digest_end(&digest, value);
	digest_to_hex(value, ret);
}

static void texts_are_told_apart_where_they_end(void **state)
{
	char left[DIGEST_HEX_SIZE], right[DIGEST_HEX_SIZE];

	digest_of_texts("ab", "c", left);
	digest_of_texts("a", "bc", right);
	assert_string_not_equal(left, right);
	digest_of_texts("", "abc", right);
	assert_string_not_equal(left, right);
	digest_of_texts("ab", "c", right);
	assert_string_equal(left, right);
}

static void hexadecimal_has_all_digits(void **state)
{
	uint8_t value[DIGEST_SIZE] = { 0x00, 0x0f, 0xf0, 0xab };
	char hex[DIGEST_HEX_SIZE];

	digest_to_hex(value, hex);
	assert_int_equal(strlen(hex), 64);
	assert_memory_equal(hex, "000ff0ab00", 10);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_sha256),
		cmocka_unit_test(texts_are_told_apart_where_they_end),
		cmocka_unit_test(hexadecimal_has_all_digits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
