/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Descriptor numbers for names in braces, and everything else left alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "iommuctl/substitute.h"
#include "util/cleanup.h"

static const struct descriptors one = {
	.iommu_fd = 7,
	.container_fd = -1,
	.device_fds = (const int[]){ 8 },
	.group_fds = (const int[]){ -1 },
	.n_devices = 1,
};

static const struct descriptors three = {
	.iommu_fd = -1,
	.container_fd = 20,
	.device_fds = (const int[]){ 21, 22, 23 },
	.group_fds = (const int[]){ 31, 32, 33 },
	.n_devices = 3,
};

static void assert_becomes(const struct descriptors *descriptors, const char *text, const char *expected)
{
	_cleanup_free_ char *result = NULL;
	const char *name;
	size_t length;

	assert_int_equal(substitute(text, descriptors, &result, &name, &length), SUBSTITUTE_DONE);
	assert_string_equal(result, expected);
}

/* The outcome, with the name that it is about. */
static void assert_outcome(const struct descriptors *descriptors, const char *text, enum substitute_outcome expected,
			   const char *expected_name)
{
	char untouched[] = "untouched", *result = untouched;
	const char *name = NULL;
	size_t length = 0;

	assert_int_equal(substitute(text, descriptors, &result, &name, &length), expected);
	assert_ptr_equal(result, untouched);
	assert_int_equal(length, strlen(expected_name));
	assert_memory_equal(name, expected_name, length);
}

static void names_become_numbers(void **state)
{
	assert_becomes(&one, "{device}", "8");
	assert_becomes(&one, "{device:0}", "8");
	assert_becomes(&one, "{iommu}", "7");
	assert_becomes(&three, "{container}", "20");
	assert_becomes(&three, "{device:0} {device:1} {device:2}", "21 22 23");
	assert_becomes(&three, "{group:0},{group:2}", "31,33");
	assert_becomes(&three, "{device:0002}", "23");
	assert_becomes(&one, "fd={device},iommufd={iommu}x", "fd=8,iommufd=7x");
	assert_becomes(&one, "{device}{device}{iommu}", "887");
}

static void other_text_stays(void **state)
{
	static const char *const texts[] = {
		"",
		"plain",
		"{}",
		"{",
		"}",
		"}}",
		"{ device}",
		"{device }",
		"{Device}",
		"{devices}",
		"{device",
		"{dev}",
		"device}",
		"{device:}",
		"{device:x}",
		"{device:1x}",
		"{device:-1}",
		"{device:+0}",
		"{device: 0}",
		"{device:0",
		"{iommu:0}",
		"{container:0}",
		"{iommufd}",
		"{:0}",
		"{0}",
		"${device",
		"{group:",
		"\xc3\xa4{\xff}",
		"{device:0 }",
		"{devic{",
		"a{b}c}d{e",
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		assert_becomes(&one, texts[i], texts[i]);
		assert_becomes(&three, texts[i], texts[i]);
	}
}

static void doubled_braces_are_escapes(void **state)
{
	assert_becomes(&one, "{{", "{");
	assert_becomes(&one, "{{device}", "{device}");
	assert_becomes(&one, "{{device}}", "{device}}");
	assert_becomes(&one, "{{{device}}", "{8}");
	assert_becomes(&one, "{{{{device}", "{{device}");
	assert_becomes(&one, "{{{{{device}", "{{8");
	assert_becomes(&three, "{{device}", "{device}");
	assert_becomes(&one, "}}", "}}");
}

static void qemu_json_survives(void **state)
{
	assert_becomes(&one,
		       "{\"driver\":\"vfio-pci\",\"id\":\"hostdev0\",\"iommufd\":\"iommufd0\",\"fd\":\"{device}\"}",
		       "{\"driver\":\"vfio-pci\",\"id\":\"hostdev0\",\"iommufd\":\"iommufd0\",\"fd\":\"8\"}");
	assert_becomes(&one, "{\"qom-type\":\"iommufd\",\"id\":\"iommufd0\",\"fd\":\"{iommu}\"}",
		       "{\"qom-type\":\"iommufd\",\"id\":\"iommufd0\",\"fd\":\"7\"}");
	assert_becomes(&one, "{\"a\":{\"b\":{\"c\":{}}},\"d\":[{},{}]}", "{\"a\":{\"b\":{\"c\":{}}},\"d\":[{},{}]}");
	assert_becomes(&one, "{\"a\":{device}}", "{\"a\":8}");
	assert_becomes(&one, "{ \"device\": \"{device}\" }", "{ \"device\": \"8\" }");
	assert_becomes(&one, "iommufd,id=iommufd0,fd={iommu}", "iommufd,id=iommufd0,fd=7");
}

static void a_name_without_a_number_wants_one_device(void **state)
{
	assert_outcome(&three, "x{device}y", SUBSTITUTE_AMBIGUOUS, "{device}");
	assert_outcome(&three, "{device:0}{group}", SUBSTITUTE_AMBIGUOUS, "{group}");
}

static void a_number_beyond_the_devices_is_said_so(void **state)
{
	assert_outcome(&one, "{device:1}", SUBSTITUTE_NO_DEVICE, "{device:1}");
	assert_outcome(&three, "a{group:3}b", SUBSTITUTE_NO_DEVICE, "{group:3}");
	assert_outcome(&one, "{device:18446744073709551615}", SUBSTITUTE_NO_DEVICE, "{device:18446744073709551615}");
	/* 2^64 and 2^64 + 10: they do not wrap to 0 and 10. */
	assert_outcome(&one, "{device:18446744073709551616}", SUBSTITUTE_NO_DEVICE, "{device:18446744073709551616}");
	assert_outcome(&one, "{device:184467440737095516160}", SUBSTITUTE_NO_DEVICE, "{device:184467440737095516160}");
}

static void what_the_backend_lacks_is_said_so(void **state)
{
	assert_outcome(&one, "{container}", SUBSTITUTE_NO_DESCRIPTOR, "{container}");
	assert_outcome(&one, "{iommu}{group}", SUBSTITUTE_NO_DESCRIPTOR, "{group}");
	assert_outcome(&one, "{group:0}", SUBSTITUTE_NO_DESCRIPTOR, "{group:0}");
	assert_outcome(&three, "{device:0}{iommu}", SUBSTITUTE_NO_DESCRIPTOR, "{iommu}");
}

static void the_first_trouble_is_reported(void **state)
{
	assert_outcome(&three, "{device:0} {device:9} {iommu}", SUBSTITUTE_NO_DEVICE, "{device:9}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_become_numbers),
		cmocka_unit_test(other_text_stays),
		cmocka_unit_test(doubled_braces_are_escapes),
		cmocka_unit_test(qemu_json_survives),
		cmocka_unit_test(a_name_without_a_number_wants_one_device),
		cmocka_unit_test(a_number_beyond_the_devices_is_said_so),
		cmocka_unit_test(what_the_backend_lacks_is_said_so),
		cmocka_unit_test(the_first_trouble_is_reported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
