# Checks Warploom with an OpenBLAS that selects its kernels for an old processor. Warploom must then select the
# kernels for the real processor and print their name. Warploom must reject an OpenBLAS that computes wrong products.
# If the user has chosen kernels of OpenBLAS, Warploom must use them.
set -euo pipefail
. "$WL_SOURCE/tests/harness/training.sh"

grep -qw avx2 /proc/cpuinfo || skip "this processor has no AVX2"
write_config endless.yaml
sed -e 's/steps: 1000000,/steps: 2,/' endless.yaml >short.yaml
# The linker finds this replacement before it finds the real OpenBLAS. The replacement reports kernels for a processor
# of 2004, unless an environment variable selects other kernels.
cat >stand_in.c <<'C'
#include <stdlib.h>
char *openblas_get_corename(void) {
  char *const chosen = getenv("OPENBLAS_CORETYPE");
  return chosen && !getenv("STAND_IN_DEAF") ? chosen : (char *)"Prescott";
}
C
cat >wrong.c <<'C'
void cblas_sgemm(int order, int ta, int tb, int m, int n, int k, float alpha, const float *a, int lda, const float *b,
                 int ldb, float beta, float *c, int ldc) {
  for (int i = 0; i < m * n; i++) c[i] = 1;
}
C
for source in stand_in wrong; do cc -shared -fPIC -w $source.c -o $source.so || skip "no compiler"; done

run() { # arguments: ENVIRONMENT...
  code=0
  env -u OPENBLAS_CORETYPE "$@" "$WL_BIN" train short.yaml --set output=run >out.txt 2>err.txt || code=$?
}
says() { grep -q "$1" err.txt || { cat err.txt >&2; fail "nothing of '$1'"; }; }

run LD_PRELOAD=./stand_in.so
[ $code = 0 ] && says 'chose its Prescott kernels; the program uses the Haswell kernels'
[ "$(grep -c Prescott err.txt)" = 1 ] || fail "the message about the kernels is not printed exactly once"
! grep -q 'warning: OpenBLAS' err.txt || fail "warned although other kernels run"
h5dump -a /blas run/optimizer.h5 | grep -q Haswell || fail "the attribute blas does not name the Haswell kernels"
run LD_PRELOAD=./stand_in.so STAND_IN_DEAF=1
[ $code = 0 ] && says 'warning: OpenBLAS uses its Prescott kernels.*install a newer OpenBLAS'
run LD_PRELOAD=./stand_in.so OPENBLAS_CORETYPE=Nehalem
[ $code = 0 ] && says 'warning: OpenBLAS uses its Nehalem kernels.*unset it'
run LD_PRELOAD=./stand_in.so OPENBLAS_CORETYPE=SkylakeX
[ $code = 0 ] || fail "exit $code"
! grep -q OpenBLAS err.txt || fail "a message about OpenBLAS although its kernels suit the processor"
echo "ok: kernels"

run LD_PRELOAD=./wrong.so
[ $code = 71 ] && says 'error: OpenBLAS computes wrong products.*OPENBLAS_CORETYPE'
echo "ok: wrong products"

# If the ranks use different kernels, the program must print a warning. In this run, only rank 1 has the variable
# WARPLOOM_ISA.
cat >mixed.sh <<'C'
[ "${OMPI_COMM_WORLD_RANK:-${PMI_RANK:-0}}" = 0 ] || export WARPLOOM_ISA=baseline
exec "$@"
C
"$WL_MPIEXEC" -n 2 bash mixed.sh "$WL_BIN" train short.yaml --set output=mixed >out.txt 2>err.txt || fail "mixed kernels: exit $?"
says 'warning: ranks run different kernels'
echo "ok: ranks with different kernels"
