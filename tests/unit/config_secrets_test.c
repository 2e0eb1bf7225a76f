/* SPDX-License-Identifier: Apache-2.0 */
/* The section `secrets:`: what is read of it, what is refused where, and the file behind it. */
#include "config_test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void test_sources(void **state)
{
    struct config *c = good("secrets:\n"
                            "  a: { file: grafana/token, hosts: [Grafana.Example.org, \"x:3000\", \"http://y\", \"[::1]:1\"] }\n"
                            "  b: { env: PW, programs: [psql] }\n"
                            "  c: { credential: tok, hosts: [x] }\n"
                            "  d: { command: [pass, show, x], environment: { A: b }, timeout: 2s, hosts: [x] }\n");
    const struct secret_source *s = c->secrets;
    char text[100];

    (void)state;
    assert_int_equal(c->nsecrets, 4);
    assert_string_equal(s[0].place, "/etc/m/grafana/token");
    assert_string_equal(s[0].origins[0], "https://grafana.example.org:443");
    assert_string_equal(s[0].origins[1], "https://x:3000");
    assert_string_equal(s[0].origins[2], "http://y:80");
    assert_string_equal(s[0].origins[3], "https://[::1]:1");
    assert_null(s[0].origins[4]);
    assert_null(s[0].programs);
    assert_string_equal(s[1].programs[0], "psql");
    assert_string_equal(secret_where(&s[1], text, sizeof(text)), "environment PW");
    assert_string_equal(s[3].argv[2], "x");
    assert_string_equal(s[3].env[0], "A=b");
    assert_int_equal(s[3].timeout_ms, 2000);
    assert_string_equal(secret_where(&s[3], text, sizeof(text)), "command pass");
    config_free(c);
}

static void test_refusals(void **state)
{
    (void)state;
    bad("secrets: [a]", "f:1:10", "secrets must be a map", "");
    bad("secrets: { a: hunter22 }", "f:1:15", "never written here", "a: { file:");
    bad("secrets: { a: { hosts: [x] } }", "f:1:12", "does not say where it comes from", "file: PATH");
    bad("secrets: { a: { file: x } }", "f:1:12", "does not say who may get it", "hosts:");
    bad("secrets: { a: { file: x, env: Y, hosts: [x] } }", "f:1:31", "two sources", "");
    bad("secrets: { a: { flie: x, hosts: [x] } }", "f:1:17", "unknown key 'flie'", "did you mean 'file'?");
    bad("secrets: { A: { file: x, hosts: [x] } }", "f:1:12", "no name for a secret", "");
    bad("secrets: { a: { file: x, hosts: [] } }", "f:1:33", "hosts must be a list", "");
    bad("secrets: { a: { file: x, hosts: x } }", "f:1:33", "hosts must be a list", "");
    bad("secrets: { a: { file: x, hosts: [7] } }", "f:1:34", "a text is expected here, not an integer", "");
    bad("secrets: { a: { file: x, hosts: [\"x/path\"] } }", "f:1:34", "is no server", "host:port");
    bad("secrets: { a: { file: x, hosts: [\"u@x\"] } }", "f:1:34", "is no server", "host:port");
    bad("secrets: { a: { file: x, hosts: [\"*.x\"] } }", "f:1:34", "is no server", "host:port");
    bad("secrets: { a: { file: x, hosts: [\"x:\"] } }", "f:1:34", "is no server", "host:port");
    bad("secrets: { a: { file: x, hosts: [\"ftp://x\"] } }", "f:1:34", "is no server", "host:port");
    bad("secrets: { a: { file: x, hosts: [\"[::1\"] } }", "f:1:34", "is no server", "host:port");
    bad("secrets: { a: { command: pass, hosts: [x] } }", "f:1:26", "command must be a list", "");
    bad("secrets: { a: { file: x, timeout: 3s, hosts: [x] } }", "f:1:35", "only a command", "");
    bad("secrets: { a: { command: [x], timeout: soon, hosts: [x] } }", "f:1:40", "duration", "");
    bad("secrets: { a: { command: [x], environment: [x], hosts: [x] } }", "f:1:44", "environment must be a map", "");
    bad("secrets: { a: { credential: a/b, hosts: [x] } }", "f:1:29", "not a path", "");
    bad("secrets: { grafana: { file: x, hosts: [x] } }\ninstances: { i: { plugin: p, auth: { secret: grafan } } }",
        "f:2:46", "there is no secret 'grafan'", "did you mean 'grafana'?");
    bad("commands: { c: { argv: [x], env: { A: { secret: n } }, read: true } }", "f:1:49", "there is no secret 'n'",
        "add it under secrets");
    bad("secrets: { s: { file: x, hosts: [x] } }\ncommands: { c: { argv: [x], env: { A: { secret: s } }, read: true } }",
        "f:2:39", "secret 's' is not for the program 'x'", "programs: [x]");
    bad("secrets: { s: { file: x, programs: [x] } }\ncommands: { c: { argv: [x], env: { A: { secrt: s } }, read: true } }",
        "f:2:41", "unknown key 'secrt'", "did you mean 'secret'?");
    bad("commands: { c: { argv: [x], env: [A=b], read: true } }", "f:1:34", "env must be a map", "");
}

static void write_file(const char *path, const char *text, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static int read_it(const struct secret_source *s, struct buf *b, struct secret_stamp *stamp, struct err *e)
{
    buf_reset(b);
    err_clear(e);
    return secret_read(s, b, stamp, e);
}

static void test_files(void **state)
{
    char path[] = "/tmp/midwatch-secret-XXXXXX", other[64];
    struct secret_source s = {.name = (char *)"s", .from = SECRET_FILE, .place = path};
    struct buf b = BUF_INIT(2 * SECRET_BYTES_MAX), large = BUF_INIT(3 * SECRET_BYTES_MAX);
    struct secret_stamp stamp;
    struct err e = {0};
    size_t i;

    (void)state;
    close(mkstemp(path));
    write_file(path, "s3cret value \r\n\n", 0600);
    assert_int_equal(read_it(&s, &b, &stamp, &e), 0);
    assert_string_equal(buf_text(&b), "s3cret value");
    assert_false(secret_moved(&s, &stamp));
    snprintf(other, sizeof(other), "%s.new", path);
    write_file(other, "another value", 0400);
    assert_int_equal(rename(other, path), 0);
    assert_true(secret_moved(&s, &stamp));
    assert_int_equal(read_it(&s, &b, &stamp, &e), 0);
    assert_string_equal(buf_text(&b), "another value");
    chmod(path, 0604);
    assert_int_equal(read_it(&s, &b, &stamp, &e), ERR_DENIED);
    assert_null(strstr(e.msg, "another"));
    chmod(path, 0620);
    assert_int_equal(read_it(&s, &b, &stamp, &e), ERR_DENIED);
    chmod(path, 0640);
    assert_int_equal(read_it(&s, &b, &stamp, &e), 0);
    for (i = 0; i < 2 * SECRET_BYTES_MAX - 10; i++)
        buf_addc(&large, 'x');
    write_file(path, buf_text(&large), 0600);
    assert_int_equal(read_it(&s, &b, &stamp, &e), ERR_LIMIT);
    unlink(path);
    assert_int_equal(read_it(&s, &b, &stamp, &e), ERR_NOT_FOUND);
    buf_free(&b);
    buf_free(&large);
}

static void test_environment_and_credentials(void **state)
{
    struct secret_source env = {.name = (char *)"s", .from = SECRET_ENV, .place = (char *)"MIDWATCH_TEST_VALUE"};
    struct secret_source credential = {.name = (char *)"s", .from = SECRET_CREDENTIAL, .place = (char *)"c"};
    char dir[] = "/tmp/midwatch-credentials-XXXXXX", path[64];
    struct buf b = BUF_INIT(2 * SECRET_BYTES_MAX);
    struct secret_stamp stamp;
    struct err e = {0};

    (void)state;
    unsetenv("MIDWATCH_TEST_VALUE");
    unsetenv("CREDENTIALS_DIRECTORY");
    assert_int_equal(read_it(&env, &b, &stamp, &e), ERR_NOT_FOUND);
    assert_int_equal(read_it(&credential, &b, &stamp, &e), ERR_NOT_FOUND);
    setenv("MIDWATCH_TEST_VALUE", "", 1);
    assert_int_equal(read_it(&env, &b, &stamp, &e), ERR_INVALID);
    setenv("MIDWATCH_TEST_VALUE", "a value", 1);
    assert_int_equal(read_it(&env, &b, &stamp, &e), 0);
    assert_string_equal(buf_text(&b), "a value");
    assert_non_null(mkdtemp(dir));
    setenv("CREDENTIALS_DIRECTORY", dir, 1);
    snprintf(path, sizeof(path), "%s/c", dir);
    write_file(path, "a credential", 0400);
    assert_int_equal(read_it(&credential, &b, &stamp, &e), 0);
    assert_string_equal(buf_text(&b), "a credential");
    unlink(path);
    rmdir(dir);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sources),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_environment_and_credentials),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
