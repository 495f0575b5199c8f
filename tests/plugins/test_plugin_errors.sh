#!/bin/bash
# Checks that an error in a plug-in results in the right exit code. The message must name the file, the line and the
# key of the configuration.
. "$WL_SOURCE/tests/harness/training.sh"
cp "$WL_SOURCE"/examples/plugins/{welsch.c,soft_clip.c} .
"$WL_BIN" plugin build welsch.c 2>build.err || { cat build.err >&2; fail "build"; }
"$WL_BIN" plugin build soft_clip.c 2>build.err || { cat build.err >&2; fail "build"; }

config() { # arguments: TASK
  printf 'seed: 1\ntask: %s\nrule: {name: sgd, learn: [rate]}\nepisode: {steps: 4}\nwindow: {steps: 4}\nouter: {steps: 2, units: 2}\n' "$1"
}
refused() { # arguments: CASE CODE PATTERN TASK
  local code=0
  config "$4" >bad.yaml
  "$WL_BIN" train bad.yaml --set output=bad >bad.out 2>bad.err || code=$?
  [ $code = "$2" ] || fail "$1: code $code, not $2: $(cat bad.err)"
  grep -q "bad.yaml:2: key .*$3" bad.err || fail "$1: no 'bad.yaml:2: key ..$3' in $(cat bad.err)"
  [ "$(wc -l <bad.err)" = 1 ] || fail "$1: not one line: $(cat bad.err)"
  echo "ok: $1"
}
compile() { # arguments: OUTPUT
  ${CC:-cc} -shared -fPIC -I"$WL_SOURCE/include" -I"$WL_SOURCE/src" "${@:2}" -o "$1"
}

refused "missing file" 66 "cannot read '.*none.so'" '{plugin: ./none.so}'
mkfifo pipe.so && refused "a pipe" 66 "pipe.so': it is not a regular file" '{plugin: ./pipe.so}'
refused "a folder" 66 "is not a regular file" '{plugin: ./}'
echo 'no object' >text.so
refused "no shared object" 78 "text.so: this file cannot be loaded" '{plugin: ./text.so}'
echo 'int x;' >empty.c && compile empty.so empty.c
refused "no symbol" 78 "does not export the symbol warploom_task_float32" '{plugin: ./empty.so}'
sed 's/^static void destroy/wl_node wl_op_absent(wl_tape *t);\nvoid use(void) { wl_op_absent(0); }\n&/' welsch.c >unresolved.c
compile unresolved.so unresolved.c
refused "unresolved symbol" 78 "undefined symbol: wl_op_absent" '{plugin: ./unresolved.so}'
compile wide.so -DWL_DOUBLE welsch.c
refused "wrong precision" 78 "wide.so: this plug-in was built for float64" '{plugin: ./wide.so}'
sed 's/^WL_PLUGIN_TASK.*/extern const wl_plugin warploom_task_float32; const wl_plugin warploom_task_float32 = {99, 0, \&family};/' welsch.c >abi.c
compile abi.so abi.c
refused "wrong interface" 78 "version 99 of the plug-in interface, and this program has version" '{plugin: ./abi.so}'
sed 's/^WL_PLUGIN_TASK.*/extern const wl_plugin warploom_task_float32; const wl_plugin warploom_task_float32 = {WL_PLUGIN_ABI, 5, \&family};/' welsch.c >layout.c
compile layout.so layout.c
refused "structs of other sizes" 78 "structs have other sizes" '{plugin: ./layout.so}'
refused "a rule for a task" 78 "soft_clip.so: this plug-in adds a rule, not a task" '{plugin: ./soft_clip.so}'
# Inserts an error into welsch.c and compiles the file without the checks of `plugin build`.
changed() { # arguments: NAME SED_EXPRESSION...
  local name=$1
  shift
  sed "$@" welsch.c >"$name.c"
  cmp -s "$name.c" welsch.c && fail "$name: the source did not change"
  compile "$name.so" "$name.c" || fail "$name: does not compile"
}
refused "family and plugin" 78 "give .family. or .plugin., not both" '{plugin: ./welsch.so, family: mlp}'
refused "unknown key" 78 "did you mean 'outliers'" '{plugin: ./welsch.so, outlier: 0.1}'
refused "value out of range" 78 "out of range; accepted: from 0 to 1" '{plugin: ./welsch.so, outliers: 2}'
refused "another hash" 78 "not 0123456789abcdef" '{plugin: ./welsch.so, plugin_hash: 0123456789abcdef}'
refused "drawn plug-in" 78 "expected a text" '{plugin: {one_of: [./welsch.so]}}'

# Tests plug-ins with wrong tables and wrong keys. `plugin build` and `plugin info` must report the same errors.
wrong() { # arguments: NAME PATTERN SED_EXPRESSION...
  local name=$1 pattern=$2 action code
  changed "$name" "${@:3}"
  refused "$name" 78 "$name.so: $pattern" "{plugin: ./$name.so}"
  for action in "info $name.so" ${BUILD:+"build $name.c"}; do
    code=0
    "$WL_BIN" plugin $action >action.out 2>action.err || code=$?
    [ $code = 78 ] && grep -q "$name.so: $pattern" action.err || fail "plugin $action: code $code: $(cat action.err)"
  done
}
for function in create destroy theta0; do
  wrong "no_$function" "the plug-in's table has no function .$function." "/^    [.]$function = /d"
done
wrong mlp "the plug-in's name 'mlp' is the name of a built-in task" 's/"welsch"/"mlp"/'
BUILD=yes wrong no_name "the plug-in's table has no name" '/^    [.]name = /d'
wrong common_key "key 'loss_scale' exists for every task" 's/{"noise"/{"loss_scale"/'
wrong selector_key "key 'family' exists for every task" 's/{"noise"/{"family"/'
wrong twice "the plug-in's table contains the key 'points' twice" 's/{"dimension"/{"points"/'
wrong type "key 'noise': WL_OPT_INT needs WL_SLOT with a member of type int64_t" 's/{"noise", WL_OPT_REAL, "0.1"/{"noise", WL_OPT_INT, "1"/'
wrong no_choices "key 'noise' is a choice and has no list" 's/{"noise", WL_OPT_REAL, "0.1"/{"noise", WL_OPT_CHOICE, "a"/; s/outliers, noise;/outliers; int noise;/'
wrong no_such_choice "default value: key 'noise': unknown choice 'c'" 's/{"noise", WL_OPT_REAL, "0.1", NULL/{"noise", WL_OPT_CHOICE, "c", "a|b"/; s/outliers, noise;/outliers; int noise;/'
BUILD=yes wrong default "default value: key 'outliers': 1.1 is out of range" 's/{"outliers", WL_OPT_REAL, "0.1"/{"outliers", WL_OPT_REAL, "1.1"/'
for type in float size_t; do
  sed "s/outliers, noise;/outliers; $type noise;/" welsch.c >member.c
  "$WL_BIN" plugin build member.c >member.out 2>&1 && fail "a member of type $type is accepted"
  grep -q "_Generic" member.out || fail "a member of type $type: $(cat member.out)"
done

# The table of keys has no last row {0}, so a reader of the table would interpret the memory after the table as
# further rows. A second table has more keys than a section can have.
{ sed -n '/^static const wl_option options/,$!p' welsch.c
  echo 'static const struct rows { wl_option row[4]; const char *after[16]; } table = {{'
  sed -n '/^static const wl_option options/,/^    {0}};/p' welsch.c | sed '1d;$d'
  echo '}, {AFTER}};'
  sed -n '/^    {0}};/,$p' welsch.c | sed '1d; s/[.]options = options/.options = table.row/; s/wl_map_read(map, options, w)/wl_map_read(map, table.row, w)/'
} >endless.c
compile endless.so '-DAFTER="dimensions"' endless.c
refused "a table without end before a text" 78 "endless.so: key 'dimensions' has no help text; add the text, or end the plug-in's table of keys with the row {0}" '{plugin: ./endless.so}'
compile endless2.so '-DAFTER=(char*)1' endless.c
refused "a table without end before a number" 78 "endless2.so: the plug-in's table of keys has no end" '{plugin: ./endless2.so}'
awk '/^    {0}};/ { for (i = 0; i < 150; i++) printf "    {\"k%d\", WL_OPT_REAL, \"0\", NULL, 0, 1, \"1\", \"A key.\", WL_SLOT(welsch, noise)},\n", i } { print }' welsch.c >many.c
compile many.so many.c
refused "too many keys" 78 "many.so: the plug-in's table has more than [0-9]* keys" '{plugin: ./many.so}'

# After a crash in a plug-in, the program must print one line that names the file and the function. The exit code must
# be 128 plus the number of the signal.
crash() { # arguments: CASE LINE SED_EXPRESSION [CONFIGURATION]
  local code=0
  changed crashing "$3"
  config '{plugin: ./crashing.so}' >crash.yaml
  "$WL_BIN" train crash.yaml --set output=crash >crash.out 2>crash.err || code=$?
  [ $code = 139 ] || fail "$1: code $code: $(cat crash.err)"
  [ "$(grep -c "^warploom: error: segmentation fault; the last function of a plug-in .* is .$2. of .*crashing.so$" crash.err)" = 1 ] ||
    fail "$1: no line that names the file and $2: $(cat crash.err)"
  rm -rf crash
  echo "ok: $1"
}
crash "a crash in bind" bind 's/  const wl_real [*]truth = draw;/&\n  *(volatile int *)8 = 1;/'
crash "a crash in create" create 's/  task->impl = w;/&\n  *(volatile int *)8 = 1;/'

# In each case, a different function is missing from the table of a rule.
functions='create=soft_clip_create'
for next in destroy init pack step ws_create ws_destroy ws_bytes; do
  { sed '/^WL_PLUGIN_RULE/d' soft_clip.c
    echo "static const wl_rule_ops partial = {.name = \"partial\", .summary = \"lacks functions\", .options = soft_clip_options, .$functions};"
    echo 'WL_PLUGIN_RULE(partial);'; } >partial.c
  compile partial.so partial.c
  "$WL_BIN" plugin info partial.so >partial.out 2>partial.err && fail "a rule without $next is accepted"
  grep -q "partial.so: the plug-in's table has no function .$next." partial.err || fail "a rule without $next: $(cat partial.err)"
  functions="$functions, .$next=wl_elementwise_$next"
done
sed -i "s/, [.]create=.*};/, .$functions};/" partial.c && compile partial.so partial.c
config '{family: quadratic}' | sed 's|^rule: .*|rule: {plugin: ./partial.so}|' >partial.yaml
"$WL_BIN" train partial.yaml --set output=bad >partial.out 2>partial.err && fail "a rule without backward is accepted"
grep -q "the rule has no function .backward." partial.err || fail "a rule without backward: $(cat partial.err)"
echo "ok: functions of rules"

# In these cases, `create` sets a field to a wrong value or does not set the field.
changed few 's/task->n = w->dimension/task->n = 3/'
refused "n that differs from the tape" 78 "create() set n to 3, but the tape has 8 inner parameters" '{plugin: ./few.so}'
changed no_tape 's/return build(w, task);/(void)build; return WL_OK;/'
refused "no tape" 78 "create() built no tape" '{plugin: ./no_tape.so}'
changed unfilled '/^    [.]bind = /d'
refused "inputs that nothing fills" 78 "the tape has the input 'x'" '{plugin: ./unfilled.so}'
changed no_batches 's/  return build(w, task);/  task->eval_batches = 0;\n&/'
refused "no batches of an evaluation" 78 "create() set eval_batches to 0" '{plugin: ./no_batches.so}'

# In these cases, the result of a function depends on earlier calls, which is not allowed. `check` must name the
# results that differ between calls.
impure() { # arguments: CASE DIFFERS SED_EXPRESSION
  local code=0
  changed impure "$3"
  "$WL_BIN" plugin build impure.c >impure.out 2>&1 || fail "$1: $(cat impure.out)"
  config '{plugin: ./impure.so}' >impure.yaml
  "$WL_BIN" check impure.yaml >impure.out 2>impure.err || code=$?
  [ $code = 70 ] && grep -q "impure.so: welsch: $2 differ" impure.err || fail "$1: code $code: $(cat impure.err)"
  echo "ok: $1"
}
impure "theta0 with a counter" "the initial parameters" 's/^static wl_status theta0/static int calls;\n&/; s/  wl_rng_normal(wl_episode_stream(episode, WL_FOR_THETA0, 0), 0, task->n, 0.1, theta);/&\n  theta[0] += calls++;/'
impure "bind with a counter" "the values of the input .y." 's/^static void bind/static int calls;\n&/; s/.*OUTLIER, y);/&\n  y[0] += calls++;/'
impure "sample that keeps values" "the values of the input .y." 's/  wl_rng_normal(wl_episode_stream(episode, WL_FOR_TASK, DRAW_TRUE), 0, task->n, 1.0, draw);/  static wl_real kept;\n&\n  *(wl_real *)draw += kept;\n  kept = *(wl_real *)draw;/'

sed 's/^    u\[l\] = .*/&\n  static wl_real kept;\n  u[0] += kept += 1;/' soft_clip.c >impure_rule.c
! cmp -s impure_rule.c soft_clip.c && "$WL_BIN" plugin build impure_rule.c >impure.out 2>&1 || fail "an impure rule: $(cat impure.out)"
config '{family: quadratic}' | sed 's|^rule: .*|rule: {plugin: ./impure_rule.so, learn: [rate]}|' >impure.yaml
code=0
"$WL_BIN" check impure.yaml >impure.out 2>impure.err || code=$?
[ $code = 70 ] && grep -q "impure_rule.so: soft_clip: the updates differ" impure.err || fail "an impure rule: code $code: $(cat impure.err)"
echo "ok: an impure rule"

# A plug-in that was built only for float32 must be rejected by a float64 program.
compile narrow.so welsch.c
config '{plugin: ./narrow.so}' >narrow.yaml
code=0
"$WL_BIN" check narrow.yaml >narrow.out 2>narrow.err || code=$?
[ $code = 78 ] && grep -q "narrow.so: this plug-in was built for float32, and this program computes in float64" narrow.err ||
  fail "float32 alone in check: code $code, $(cat narrow.err)"

# The ranks read different files with the same name, because /proc/self/cwd is a different folder on each rank.
mkdir a b
cp welsch.so a
sed 's/OUTLIER = 10.0/OUTLIER = 11.0/' welsch.c >changed.c && "$WL_BIN" plugin build changed.c --output b/welsch.so 2>build.err
config '{plugin: /proc/self/cwd/welsch.so}' >ranks.yaml
code=0
timeout 60 "$WL_MPIEXEC" -n 1 --wdir "$PWD/a" "$WL_BIN" train "$PWD/ranks.yaml" --set output="$PWD/ranks" \
  : -n 1 --wdir "$PWD/b" "$WL_BIN" train "$PWD/ranks.yaml" --set output="$PWD/ranks" >ranks.out 2>ranks.err || code=$?
[ $code = 76 ] || fail "different files on ranks: code $code: $(cat ranks.err)"
hash_of() { "$WL_BIN" plugin info "$1" | awk '$1 == "hash" { print $2 }'; }
grep -q "welsch.so) differs between ranks (rank 0 has $(hash_of a/welsch.so), rank 1 has $(hash_of b/welsch.so))" ranks.err ||
  fail "message about ranks: $(cat ranks.err)"

# Checks `warploom plugin` with wrong arguments, and with a source file that contains an error.
usage() { # arguments: CODE ARGUMENTS...
  local code=0 expected=$1
  shift
  "$WL_BIN" plugin "$@" >usage.out 2>usage.err || code=$?
  [ $code = "$expected" ] || fail "plugin $*: code $code, not $expected: $(cat usage.err)"
}
usage 64 bild welsch.c
usage 64 build -- -O2
usage 64 new tusk x
usage 64 new task ../x
usage 66 info none.so
usage 66 build none.c
usage 65 info empty.so
echo 'int main( {' >broken.c
usage 65 build broken.c
grep -q "broken.c:1" usage.err || fail "the compiler's message is missing: $(cat usage.err)"
[ ! -e broken.so ] || fail "a build that failed has written a file"
cp welsch.c kept.c && "$WL_BIN" plugin build kept.c 2>kept.err && cp kept.so kept.before || fail "build of kept.c"
for line in 'void wl_op_absent(void); void use(void); void use(void) { wl_op_absent(); }' 'void use(void); void use(void) { wl_op_absent(); }'; do
  { cat welsch.c; echo "$line"; } >kept.c
  code=0
  "$WL_BIN" plugin build kept.c >kept.out 2>kept.err || code=$?
  [ $code != 0 ] && grep -q wl_op_absent kept.err || fail "an undefined function: code $code: $(cat kept.err)"
  cmp kept.so kept.before || fail "a build that failed replaced the file"
done
grep -q "implicit declaration" kept.err || fail "an undeclared function is no error of the compiler: $(cat kept.err)"
[ "$(ls kept.so*)" = kept.so ] || fail "a build that failed left $(ls kept.so*)"
"$WL_BIN" plugin new task my_task 2>new.err && "$WL_BIN" plugin build my_task.c 2>new.err || fail "plugin new: $(cat new.err)"
usage 73 new task my_task
"$WL_BIN" train my_task.yaml --set outer.steps=2 --set output=new --quiet >new.out || fail "the new task does not train"
"$WL_BIN" plugin new rule my_rule 2>new.err && "$WL_BIN" plugin build my_rule.c 2>new.err || fail "plugin new: $(cat new.err)"
"$WL_BIN" train my_rule.yaml --set outer.steps=2 --set output=new-rule --quiet >new.out || fail "the new rule does not train"

# Builds a plug-in from two source files. One file calls a function that the other file defines.
cat >two.c <<'S'
#include <warploom/task.h>
wl_node squares(wl_tape *t, wl_node x);
S
sed -e '/^#include/d' -e 's/wl_op_square(t, r)/squares(t, r)/' welsch.c >>two.c
printf '#include <warploom/task.h>\nwl_node squares(wl_tape *t, wl_node x) { return wl_op_square(t, x); }\n' >helper.c
"$WL_BIN" plugin build two.c helper.c 2>two.err || fail "two sources: $(cat two.err)"
config '{plugin: ./two.so}' >two.yaml
"$WL_BIN" check two.yaml >two.out 2>&1 || fail "two sources: check: $(cat two.out)"
echo "ok: subcommand"

# The program must export every function that the installed headers declare.
for header in $(sed -n '/set(WL_PLUGIN_HEADERS/,/)/p' "$WL_SOURCE/cmake/WlPlugin.cmake" | grep -oE '[a-z_]+/[a-z_]+[.]h'); do
  cat "$WL_SOURCE/src/$header"
done | sed 's|^ \*.*||; s|/\*.*||' >headers
functions_in() { grep -oE '\bwl_[a-z_0-9]+\(' | tr -d '(' | sort -u; }
grep 'static inline' headers | functions_in >inlined # the program does not export inline functions
grep -vE 'static inline|#define' headers | functions_in | comm -23 - inlined >declared
nm -D --defined-only "$WL_BIN" | awk '{ print $3 }' | sort -u >exported
[ "$(wc -l <declared)" -gt 100 ] || fail "only $(wc -l <declared) functions in the headers"
comm -13 exported declared | comm -23 - inlined >absent
[ ! -s absent ] || fail "functions of the headers that the program does not export: $(cat absent)"
echo "ok: $(wc -l <declared) functions exported"
