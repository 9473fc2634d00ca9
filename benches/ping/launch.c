/* Starts one program and says how long it ran (ns), its peak memory (KB), and its exit status.
 *
 * A small parent of its own: a child that is forked from a larger one, such as Python, is charged with that one's
 * memory until it calls exec, and the kernel remembers it as the peak. */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

static long long now(void) {
    struct timespec clock;
    clock_gettime(CLOCK_MONOTONIC, &clock);
    return clock.tv_sec * 1000000000LL + clock.tv_nsec;
}

int main(int count, char **words) {
    if (count < 2) {
        fprintf(stderr, "usage: launch PROGRAM [ARGUMENTS]\n");
        return 2;
    }
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    pid_t child;
    int status;
    struct rusage used;
    long long begun = now();
    int fault = posix_spawnp(&child, words[1], &actions, NULL, words + 1, environ);
    if (fault != 0) {
        fprintf(stderr, "%s: %s\n", words[1], strerror(fault));
        return 1;
    }
    if (wait4(child, &status, 0, &used) < 0) {
        fprintf(stderr, "wait4: %s\n", strerror(errno));
        return 1;
    }
    printf("%lld %ld %d\n", now() - begun, used.ru_maxrss, WIFEXITED(status) ? WEXITSTATUS(status) : -1);
    return 0;
}
