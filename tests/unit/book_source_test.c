/* SPDX-License-Identifier: Apache-2.0 */
/* Runbooks from working trees and from commits, on repositories that `git` makes
 * here. Each repository is a small script in a folder of its own. */
#include "book/source.h"

#include "base/limits.h"
#include "book/bundle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* libgit2 1.5 forgets its match data where an extension's name does not match. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libpcre2\n";
}

static char top[] = "/tmp/midwatch-source-XXXXXX";

#define PRELUDE \
    "set -eu; unset GIT_DIR; export HOME=$TOP GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b\n" \
    "export GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b GIT_AUTHOR_DATE='@1700000000 +0000'\n" \
    "export GIT_COMMITTER_DATE='@1700000000 +0000'\n" \
    "book() { mkdir -p \"$(dirname \"$1\")\"\n" \
    "printf -- '---\\nrunbook: %s\\nsummary: %s\\n---\\n```lua\\n%s\\nresolve \"x\"\\n```\\n'" \
    " \"$(basename \"$1\" .md)\" \"$2\" \"${3:-}\" >\"$1\"; }\n" \
    "commit() { git add -A; git commit -q --allow-empty -m \"$1\"; }\n" \
    "cd \"$TOP\"; rm -rf r; mkdir r; cd r; git init -q -b main .\n"

/* Runs a script in a new repository r; afterwards this process stands in it. */
static void make(const char *script)
{
    char *text = NULL;
    char *argv[] = {"sh", "-c", NULL, NULL};
    pid_t child;
    int status = -1;

    setenv("TOP", top, 1);
    assert_true(asprintf(&text, "%s%s", PRELUDE, script) > 0);
    argv[2] = text;
    assert_int_equal(chdir(top), 0);
    assert_int_equal(posix_spawnp(&child, "sh", NULL, NULL, argv, environ), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (status != 0)
        fail_msg("script failed: %s", script);
    free(text);
    assert_int_equal(chdir("r"), 0);
}

/* Loads `name` from the working tree (at NULL) or a commit. The summary, or the error. */
static const char *look(const char *repo, const char *at, const char *name)
{
    static char out[2000];
    struct source *s = NULL;
    struct runbook *b = NULL;
    struct err e = {0};
    int rc = at || repo ? source_open(repo, at, name, &s, &e) : 0;

    if (rc == 0)
        rc = source_load(s, name, &b, &e);
    if (rc == 0)
        snprintf(out, sizeof(out), "%s", b->summary);
    else
        err_text(&e, out, sizeof(out));
    assert_int_equal(rc, e.code);
    book_free(b);
    source_close(s);
    return out;
}

static void expect(const char *repo, const char *at, const char *name, const char *part)
{
    const char *got = look(repo, at, name);

    if (!strstr(got, part))
        fail_msg("%s at %s: no '%s' in: %s", name, at ? at : "-", part, got);
}

static void names_of_commits(void **state)
{
    (void)state;
    make("book runbooks/t.md one; commit 1; git tag light; git tag -a -m x noted\n"
         "git -c advice.nestedTag=false tag -a -m x twice noted\n"
         "book runbooks/t.md two; commit 2; git branch side; book runbooks/t.md three; commit 3\n"
         "git update-ref refs/remotes/origin/far main~2; git tag both main; git branch both main~1\n"
         "git tag tree 'main^{tree}'; book runbooks/t.md dirty; git rev-parse main~1 >id; git checkout -q --detach side -f\n"
         "book runbooks/t.md dirty");
    expect(NULL, "HEAD", "t", "two");               /* detached */
    expect(NULL, "main", "t", "three");
    expect(NULL, "side", "t", "two");
    expect(NULL, "light", "t", "one");
    expect(NULL, "noted", "t", "one");
    expect(NULL, "twice", "t", "one");
    expect(NULL, "origin/far", "t", "one");
    expect(NULL, "refs/heads/main", "t", "three");
    expect(NULL, "refs/tags/both", "t", "three");
    expect(NULL, "main~1", "t", "two");
    expect(NULL, "main~0", "t", "three");
    expect(NULL, NULL, "t", "dirty");
    expect(NULL, "both", "t", "'both' is both refs/tags/both and refs/heads/both");
    expect(NULL, "tree", "t", "'tree' is no commit");
    expect(NULL, "main~7", "t", "no 7 commits before it");
    expect(NULL, "main~x", "t", "behind ~");
    expect(NULL, "mian", "t", "no commit, tag or branch 'mian' (did you mean 'main'?)");
    expect(NULL, "nothing-like-it", "t", "it has ");
    expect(NULL, "deadbeef", "t", "no commit, tag or branch 'deadbeef'");
    expect(NULL, "main", "tt", "there is no runbook 'tt' (looked for runbooks/tt.md) (did you mean 't'?)");
    expect(NULL, "main", "../t.md", "is not in");
    expect(NULL, "main", "/etc/x.md", "not in");
}

static void digits_of_commits(void **state)
{
    char id[64] = "", part[64];
    FILE *f;

    (void)state;
    make("book runbooks/t.md one; commit 1; git rev-parse HEAD >id; book runbooks/t.md two; commit 2\n"
         "git checkout -q --orphan other; book runbooks/t.md three; commit 3; git branch -D -q main");
    f = fopen("id", "r");
    assert_true(f && fscanf(f, "%63s", id) == 1);
    fclose(f);
    expect(NULL, id, "t", "one");                   /* no name leads there any more */
    snprintf(part, sizeof(part), "%.8s", id);
    expect(NULL, part, "t", "one");
    snprintf(part, sizeof(part), "%.6s", id);
    expect(NULL, part, "t", "no commit, tag or branch");
    id[39] = id[39] == '0' ? '1' : '0';
    expect(NULL, id, "t", "no commit, tag or branch");
    assert_false(source_has_commit(".", id));
    assert_true(source_has_commit(".", "other") == false);
}

/* Revision expressions search and follow reflogs; they are no names. */
static void hostile_names(void **state)
{
    static const char *const names[] = {"", "-x", ":/one", "@{-1}", "main@{0}", "HEAD^{/one}", "main^", "main:runbooks", "a b",
                                        "main*", "--upload-pack=x", "[x", "a\\b"};
    char longest[400];
    size_t i;

    (void)state;
    make("book runbooks/t.md one; commit one");
    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        expect(NULL, names[i], "t", "names no commit");
    memset(longest, 'a', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    expect(NULL, longest, "t", "names no commit");
    expect(NULL, "../../etc/passwd", "t", "no commit, tag or branch");
    expect(NULL, "refs/../HEAD", "t", "no commit, tag or branch");
}

static void kinds_of_repositories(void **state)
{
    char bare[200], shallow[200];

    (void)state;
    snprintf(bare, sizeof(bare), "%s/bare.git", top);
    snprintf(shallow, sizeof(shallow), "%s/shallow", top);
    make("book runbooks/t.md one; commit 1; book runbooks/t.md two; commit 2; git tag -a -m x v2; git gc -q --prune=now\n"
         "rm -rf ../bare.git ../shallow ../linked; git clone -q --bare . ../bare.git\n"
         "git clone -q --depth 1 \"file://$PWD\" ../shallow; git worktree add -q ../linked HEAD~1 2>/dev/null\n"
         "git config extensions.worktreeConfig true");
    expect(NULL, "main~1", "t", "one");             /* packed */
    expect(bare, "v2", "t", "two");
    expect(bare, NULL, "t", "two");
    expect(bare, NULL, "runbooks/t.md", "two");
    expect(bare, NULL, "/runbooks/t.md", "no path from the root");
    expect(bare, NULL, "../t.md", "no path from the root");
    expect(shallow, "HEAD", "t", "two");
    expect(shallow, "HEAD~1", "t", "in this shallow clone");
    expect(shallow, "main2", "t", "in this shallow clone (did you mean 'main'?)");
    assert_int_equal(chdir("../linked"), 0);
    expect(NULL, "HEAD", "t", "one");
    assert_int_equal(chdir(bare), 0);
    expect(NULL, "main", "t", "two");
    assert_int_equal(chdir("/"), 0);
    expect(NULL, "main", "t", "is not in a git repository");
    expect("/nowhere", "main", "t", "is not in a git repository");
}

static void from_below_and_outside(void **state)
{
    char path[300];

    (void)state;
    make("book runbooks/t.md one; mkdir -p deep/er; commit 1; book runbooks/t.md two; rm -rf ../link; ln -s r ../link");
    assert_int_equal(chdir("deep/er"), 0);
    expect(NULL, "main", "../../runbooks/t.md", "one");
    expect(NULL, "main", "./../.././runbooks//t.md", "one");
    assert_int_equal(chdir("/"), 0);
    snprintf(path, sizeof(path), "%s/r/runbooks/t.md", top);
    expect(NULL, "main", path, "one");
    snprintf(path, sizeof(path), "%s/link/runbooks/t.md", top);
    expect(NULL, "main", path, "one");
    expect(NULL, NULL, path, "two");
    snprintf(path, sizeof(path), "%s/r/gone/t.md", top);
    expect(NULL, "main", path, "there is no runbook");
}

static void empty_and_unknown_repositories(void **state)
{
    (void)state;
    make("");
    expect(NULL, "HEAD", "t", "the repository has no commits yet");
    make("cd ..; rm -rf r; git init -q --object-format=sha256 r");
    expect(NULL, "HEAD", "t", "objectformat");
    make("book runbooks/t.md one; commit 1; printf nonsense >.git/HEAD");
    expect(NULL, "HEAD", "t", "HEAD cannot be read");
    make("book runbooks/t.md one; commit 1; printf nonsense >.git/refs/heads/main");
    expect(NULL, "main", "t", "refs/heads/main cannot be read");
}

static void what_is_not_read(void **state)
{
    (void)state;
    make("book real.md one; mkdir runbooks sub; ln -s ../real.md runbooks/link.md; ln -s runbooks folder\n"
         "mkdir runbooks/dir.md; touch runbooks/dir.md/x\n"
         "(cd sub; git init -q -b main .; book t.md inner; commit 1); git add real.md runbooks folder\n"
         "git update-index --add --cacheinfo 160000,$(git -C sub rev-parse HEAD),sub; git commit -q -m 1");
    expect(NULL, "main", "link", "runbooks/link.md at commit");
    expect(NULL, "main", "link", "is a symbolic link");
    expect(NULL, NULL, "link", "a symbolic link is not followed");
    expect("./.git", "main", "folder/link.md", "'folder' is a symbolic link");
    expect("./.git", "main", "sub/t.md", "'sub' is a submodule");
    expect("./.git", "main", "runbooks/dir.md", "is a folder");
    expect("./.git", "main", "real.md/t.md", "'real.md' is a file");
    expect("./.git", "main", "real.md", "one");
    make("book runbooks/t.md one; { cat runbooks/t.md; head -c 1100000 /dev/zero | tr '\\0' x; } >runbooks/huge.md\n"
         "head -c 40000000 /dev/zero >runbooks/bomb.md\n"
         "printf 'version https://git-lfs.github.com/spec/v1\\noid sha256:%064d\\nsize 12\\n' 7 >runbooks/lfs.md; commit 1");
    expect(NULL, "main", "huge", "at most 1048576");
    expect(NULL, "main", "bomb", "has 40000000 bytes, at most 1048576");
    expect(NULL, "main", "lfs", "is a Git LFS pointer");
    expect(NULL, NULL, "huge", "larger than 1048576 bytes");
}

/* Attributes count as the commit has them; not as the working tree or the index has them now. */
static void filters(void **state)
{
    (void)state;
    make("book runbooks/t.md one; book runbooks/u.md two; printf 'u.md filter=lfs\\nv.md -filter\\n' >runbooks/.gitattributes\n"
         "book runbooks/v.md three; book runbooks/w.md four; book runbooks/x.md five; commit 1\n"
         "printf 'w.md working-tree-encoding=latin1\\nx.md text eol=crlf ident\\n' >.gitattributes\n"
         "git add .gitattributes; git commit -q -m 2\n"
         "printf '*.md filter=evil\\n' >.gitattributes; git add .gitattributes; git config filter.evil.smudge 'touch ran'");
    expect(NULL, "main", "t", "one");
    expect(NULL, "main", "u", "has the attribute filter=lfs");
    expect(NULL, "main", "v", "three");
    expect(NULL, "main", "w", "has the attribute working-tree-encoding=latin1");
    expect(NULL, "main", "x", "five");
    assert_int_not_equal(access("ran", F_OK), 0);
}

static void broken_objects(void **state)
{
    (void)state;
    make("book runbooks/t.md one; commit 1; rm -f .git/objects/$(git rev-parse main:runbooks/t.md | sed 's,..,&/,')");
    expect(NULL, "main", "t", "cannot be read");
    expect(NULL, "main", "t", "git fsck");
    make("book runbooks/t.md one; commit 1; f=.git/objects/$(git rev-parse main:runbooks/t.md | sed 's,..,&/,')\n"
         "o=.git/objects/$(echo other | git hash-object -w --stdin | sed 's,..,&/,'); chmod u+w $f; cat $o >$f");
    expect(NULL, "main", "t", "cannot be read");    /* another object under this name */
    make("book runbooks/t.md one; commit 1; f=.git/objects/$(git rev-parse main:runbooks | sed 's,..,&/,')\n"
         "chmod u+w $f; printf garbage >$f");
    expect(NULL, "main", "t", "cannot be read");
    make("book runbooks/t.md one; commit 1; f=.git/objects/$(git rev-parse main | sed 's,..,&/,'); chmod u+w $f; : >$f");
    expect(NULL, "main", "t", "'main' is no commit that can be read");
    make("book runbooks/t.md one; commit 1; git gc -q; p=$(echo .git/objects/pack/*.pack); chmod u+w $p; head -c 40 $p >x\n"
         "cat x >$p");
    expect(NULL, "main", "t", "'main' is no commit that can be read");
}

static void facts(void **state)
{
    struct buf file = BUF_INIT(KIB), text = BUF_INIT(MIB);
    struct runbook *b = NULL;
    struct source *s = NULL;
    struct err e = {0};
    char id[64] = "", tree[64] = "";
    FILE *f;

    (void)state;
    make("book runbooks/t.md one 'local a = require \"a\"'; mkdir lib; echo 'return 1' >lib/a.lua\n"
         "echo 'x: 1' >runbooks/t.test.yaml; commit 1; git rev-parse HEAD HEAD^{tree} >id\n"
         "echo 'return 2' >lib/a.lua; echo 'x: 2' >runbooks/t.test.yaml");
    f = fopen("id", "r");
    assert_true(f && fscanf(f, "%63s %63s", id, tree) == 2);
    fclose(f);
    assert_int_equal(source_open(NULL, "main", "t", &s, &e), 0);
    assert_int_equal(source_load(s, "t", &b, &e), 0);
    assert_string_equal(b->origin.commit, id);
    assert_string_equal(b->origin.tree, tree);
    assert_false(b->origin.dirty);
    assert_string_equal(b->path, "runbooks/t.md");
    assert_int_equal(b->nmodules, 1);
    assert_string_equal(b->modules[0].path, "lib/a.lua");
    assert_string_equal(b->modules[0].text, "return 1\n");
    assert_true(source_has_commit(".", id));
    assert_int_equal(source_scenarios(s, "t", &file, &text, &e), 0);
    assert_string_equal(buf_text(&text), "x: 1\n");
    assert_string_equal(buf_text(&file), "runbooks/t.test.yaml");
    buf_reset(&file);
    assert_int_equal(source_scenarios(s, "u", &file, &text, &e), ERR_NOT_FOUND);
    book_free(b);
    source_close(s);
    buf_free(&file);
    buf_free(&text);
}

static const struct {
    const char *name, *script, *part;
} modules[] = {
    {"lib", "mkdir lib; echo 'return 1' >lib/a.lua; book runbooks/t.md good 'require \"a\"'", "good"},
    {"beside", "book runbooks/t.md good 'require \"a\"'; echo 'return 1' >runbooks/a.lua", "good"},
    {"deeper", "book runbooks/t.md good 'require \"a.b\"'; mkdir -p lib/a; echo 'return 1' >lib/a/b.lua", "good"},
    {"both", "book runbooks/t.md x 'require \"a\"'; mkdir lib; touch lib/a.lua runbooks/a.lua",
     "runbooks/t.md:6:1: module 'a' is both lib/a.lua and runbooks/a.lua"},
    {"none", "book runbooks/t.md x 'require \"chekcs\"'; mkdir lib; touch lib/checks.lua",
     "t.md:6:1: there is no module 'chekcs' (looked for lib/chekcs.lua and runbooks/chekcs.lua) (did you mean 'checks'?)"},
    {"none, deeper",
     "book runbooks/t.md x 'require \"k.chekcs\"'; mkdir -p lib/k; touch lib/k/checks.lua", "did you mean 'k.checks'?"},
    {"none in a module", "book runbooks/t.md x 'require \"a\"'; mkdir lib; printf '\\n  require \"b\"' >lib/a.lua",
     "lib/a.lua:2:3: there is no module 'b'"},
    {"circle",
     "book runbooks/t.md x 'require \"a\"'; mkdir lib; echo 'require \"b\"' >lib/a.lua; echo 'require \"a\"' >lib/b.lua",
     "lib/b.lua:1:1: modules need each other in a circle: a -> b -> a"},
    {"itself", "book runbooks/t.md x 'require \"a\"'; mkdir lib; echo 'require \"a\"' >lib/a.lua", "in a circle: a -> a"},
    {"diamond",
     "book runbooks/t.md good 'require \"a\" require \"b\"'; mkdir lib; echo 'require \"c\"' | tee lib/a.lua >lib/b.lua\n"
     "echo 'return 1' >lib/c.lua", "good"},
    {"no literal", "book runbooks/t.md x 'require(x)'", "runbooks/t.md:6:1: require takes a literal name"},
    {"no literal in a module", "book runbooks/t.md x 'require \"a\"'; mkdir lib; echo 'require(x)' >lib/a.lua",
     "lib/a.lua:1:1: require takes a literal name"},
    {"way out", "book runbooks/t.md x 'require \"../a\"'", "lower-case letters"},
    {"symbolic link", "book runbooks/t.md x 'require \"a\"'; mkdir lib; ln -s /etc/hostname lib/a.lua", "symbolic link"},
    {"linked folder",
     "book runbooks/t.md x 'require \"a\"'; mkdir ../out 2>/dev/null || true; touch ../out/a.lua; ln -s ../out lib",
     "symbolic link"},
    {"a folder", "book runbooks/t.md x 'require \"a\"'; mkdir -p lib/a.lua; touch lib/a.lua/x", "lib/a.lua"},
    {"not UTF-8", "book runbooks/t.md x 'require \"a\"'; mkdir lib; printf '\\377' >lib/a.lua", "lib/a.lua is not UTF-8"},
    {"NUL", "book runbooks/t.md x 'require \"a\"'; mkdir lib; printf 'x\\0' >lib/a.lua", "lib/a.lua is not UTF-8"},
    {"too large",
     "book runbooks/t.md x 'require \"a\"'; mkdir lib; head -c 300000 /dev/zero | tr '\\0' ' ' >lib/a.lua",
     "262144"},
    {"too many",
     "s=''; mkdir lib; for i in $(seq 70); do s=\"$s require 'm$i'\"; touch lib/m$i.lua; done\n"
     "book runbooks/t.md x \"$s\"",
     "more than 64 modules"},
    {"too deep",
     "mkdir lib; for i in $(seq 70); do echo \"require 'm$((i+1))'\" >lib/m$i.lua; done\n"
     "book runbooks/t.md x 'require \"m1\"'",
     "more than 64 modules"},
};

static void modules_of_both_sources(void **state)
{
    char script[2000];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(modules) / sizeof(modules[0]); i++) {
        print_message("%s\n", modules[i].name);
        snprintf(script, sizeof(script), "%s; commit 1", modules[i].script);
        make(script);
        expect(NULL, NULL, "t", modules[i].part);
        expect(NULL, "main", "t", modules[i].part);
    }
}

/* Without git the root is the folder above `runbooks`, else the runbook's own. */
static void trees_without_git(void **state)
{
    struct runbook *b = NULL;
    struct err e = {0};

    (void)state;
    make("rm -rf .git; mkdir -p lib x/runbooks x/lib; touch lib/a.lua x/lib/b.lua; book x/runbooks/t.md good 'require \"b\"'\n"
         "book u.md good 'require \"a\"'; book x/t.md bad 'require \"a\"'");
    assert_int_equal(source_load(NULL, "x/runbooks/t.md", &b, &e), 0);
    assert_string_equal(b->path, "runbooks/t.md");
    assert_string_equal(b->file, "x/runbooks/t.md");
    assert_null(b->origin.repo);
    book_free(b);
    expect(NULL, NULL, "u.md", "good");
    expect(NULL, NULL, "x/t.md", "there is no module 'a'");
    expect(NULL, NULL, "nowhere/t.md", "there is no runbook 'nowhere/t.md'");
    expect(NULL, NULL, "t", "there is no runbook 't' (looked for runbooks/t.md)");
}

static void manifest_keeps_modules(void **state)
{
    struct bundle *b = bundle_new(), *again = NULL;
    struct buf m = BUF_INIT(64 * KIB);
    struct err e = {0};

    (void)state;
    assert_int_equal(bundle_add(b, "runbooks/t.md", STR("x"), &e), 0);
    assert_int_equal(bundle_add_module(b, "z.checks", "lib/z/checks.lua", STR("y"), &e), 0);
    assert_int_equal(bundle_add_module(b, "checks", "runbooks/checks.lua", STR("z"), &e), 0);
    b->repo = xstrdup("/r");
    b->commit = xstrdup("c");
    b->tree = xstrdup("t");
    bundle_seal(b, "Lua 5.4.4");
    bundle_manifest(b, &m);
    assert_int_equal(bundle_open((struct str){m.data, m.len}, &again, &e), 0);
    assert_string_equal(again->id, b->id);
    assert_string_equal(again->tree, "t");
    assert_string_equal(again->files[0].module, "z.checks");
    assert_string_equal(bundle_module_path(&again->files[0]), "lib/z/checks.lua");
    assert_null(again->files[2].module);
    bundle_free(again);
    bundle_free(b);
    buf_free(&m);
    assert_int_equal(bundle_open(STR("{\"abi\":1,\"files\":{},\"modules\":{\"a\":\"modules/a.lua\"}}"), &again, &e), ERR_CORRUPT);
}

static int begin(void **state)
{
    (void)state;
    return mkdtemp(top) ? 0 : -1;
}

static int end(void **state)
{
    char *argv[] = {"rm", "-rf", top, NULL};
    pid_t child;

    (void)state;
    return chdir("/") == 0 &&
           posix_spawnp(&child, "rm", NULL, NULL, argv, environ) == 0 && waitpid(child, NULL, 0) == child ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_commits),       cmocka_unit_test(digits_of_commits),
        cmocka_unit_test(hostile_names),          cmocka_unit_test(kinds_of_repositories),
        cmocka_unit_test(from_below_and_outside), cmocka_unit_test(empty_and_unknown_repositories),
        cmocka_unit_test(what_is_not_read),       cmocka_unit_test(filters),
        cmocka_unit_test(broken_objects),         cmocka_unit_test(facts),
        cmocka_unit_test(modules_of_both_sources), cmocka_unit_test(trees_without_git),
        cmocka_unit_test(manifest_keeps_modules),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
