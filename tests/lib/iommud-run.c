/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Processes of iommud-harness.h: programs of ours that run to their end, and a look at those that don't. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "iommud-harness.h"
#include "util/cleanup.h"

static const char *build_folder(void)
{
	const char *build = getenv("IOMMUD_BUILD");

	return build ? build : "build";
}

static char *read_all(int fd)
{
	char *text = NULL, buffer[4096];
	size_t size = 0;
	FILE *stream = open_memstream(&text, &size);
	ssize_t n;

	assert_non_null(stream);
	while ((n = read(fd, buffer, sizeof(buffer))) > 0)
		assert_int_equal(fwrite(buffer, 1, n, stream), n);
	assert_int_equal(fclose(stream), 0);
	return text;
}

/* The program, and the library beside it, where every user may reach them. */
static void copy_program(const struct machine *machine, const char *program)
{
	const char *from = build_folder();
	char command[1024];

	snprintf(command, sizeof(command), "cp -u %s/%s %s/libiommud.so.0 %s/bin", from, program, from, machine->dir);
	assert_int_equal(system(command), 0);
}

static __attribute__((noreturn)) void exec_program(const struct machine *machine, uid_t uid, int output,
						   char *const *arguments)
{
	char folder[96], program[128], iommud[256];

	snprintf(folder, sizeof(folder), "%s/bin", machine->dir);
	snprintf(program, sizeof(program), "%s/%s", folder, arguments[0]);
	snprintf(iommud, sizeof(iommud), "%s/iommud", build_folder());
	if (dup2(open("/dev/null", O_RDONLY | O_CLOEXEC), STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 ||
	    dup2(output, STDERR_FILENO) < 0 || setenv("LD_LIBRARY_PATH", folder, 1) < 0 ||
	    setenv("IOMMUD_SOCKET", machine->socket, 1) < 0 || setenv("IOMMUD_DAEMON", iommud, 1) < 0 ||
	    unsetenv("NOTIFY_SOCKET") < 0)
		_exit(126);
	machine_become(uid);
	if (setresgid(uid, uid, uid) == 0 && setresuid(uid, uid, uid) == 0)
		execv(program, arguments);
	_exit(127);
}

int machine_run(struct machine *machine, uid_t uid, char **ret_output, const char *program, ...)
{
	const char *arguments[24] = { program };
	int output[2], status;
	va_list args;
	pid_t pid;

	va_start(args, program);
	for (size_t i = 1; i < ARRAY_SIZE(arguments) && arguments[i - 1]; i++)
		arguments[i] = va_arg(args, const char *);
	va_end(args);
	copy_program(machine, program);
	assert_int_equal(pipe2(output, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		exec_program(machine, uid, output[1], (char **)arguments);
	close(output[1]);
	*ret_output = read_all(output[0]);
	close(output[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

size_t machine_count_fds(const struct machine *machine)
{
	char path[64];
	size_t n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", machine->iommud);
	dir = opendir(path);
	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}
