/* What libseccomp makes of a policy. On stdin: one line each of
 *
 *     default ACTION
 *     arch TOKEN
 *     optimize LEVEL
 *     rule ACTION NAME [INDEX OP A B]...
 *
 * numbers in hexadecimal, as seccomp.h has them. On stdout: the program as the kernel would get it. */

#include <inttypes.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void check(int result, const char *line)
{
	if (result < 0) {
		fprintf(stderr, "%s: %s\n", line, strerror(-result));
		exit(1);
	}
}

int main(void)
{
	static char line[4096];
	scmp_filter_ctx filter = NULL;

	while (fgets(line, sizeof line, stdin)) {
		char name[64];
		uint32_t number;
		int used;

		if (sscanf(line, "default %" SCNx32, &number) == 1) {
			filter = seccomp_init(number);
		} else if (sscanf(line, "arch %" SCNx32, &number) == 1) {
			if (seccomp_arch_exist(filter, number) != 0)
				check(seccomp_arch_add(filter, number), line);
		} else if (sscanf(line, "optimize %" SCNx32, &number) == 1) {
			check(seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, number), line);
		} else if (sscanf(line, "rule %" SCNx32 " %63s%n", &number, name, &used) == 2) {
			struct scmp_arg_cmp args[6];
			unsigned count = 0;
			uint32_t index, op;
			uint64_t a, b;
			int more, call = seccomp_syscall_resolve_name(name);

			while (count < 6 && sscanf(line + used, "%" SCNx32 " %" SCNx32 " %" SCNx64 " %" SCNx64 "%n",
						   &index, &op, &a, &b, &more) == 4) {
				args[count++] = SCMP_CMP(index, op, a, b);
				used += more;
			}
			if (call == __NR_SCMP_ERROR)
				continue;
			check(seccomp_rule_add_array(filter, number, call, count, args), line);
		}
	}
	check(seccomp_export_bpf(filter, STDOUT_FILENO), "export");
	return 0;
}
