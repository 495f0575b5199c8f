/* train_own.c - uses a trained optimizer to fit a function. This program defines the loss and computes the gradient of
 * this loss.
 *
 *   train_own OPTIMIZER [STEPS]          OPTIMIZER is an exported optimizer, a checkpoint or a run
 *
 * The model is a cosine series y(x) = sum_j theta_j cos(j x). The program fits the series to |x| by least squares at
 * POINTS points of [-pi, pi]. The loss is L = mean of (y(x) - |x|)^2. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <warploom/optimizer.h>

enum { TERMS = 16, POINTS = 256 };

/* Returns the loss at theta [TERMS] and writes its gradient to gradient [TERMS]. */
static double loss_and_gradient(const float *theta, float *gradient) {
  double loss = 0, sum[TERMS] = {0};
  for (int i = 0; i < POINTS; i++) {
    const double x = 3.14159265358979 * (2.0 * i / (POINTS - 1) - 1);
    double error = -fabs(x);
    for (int j = 0; j < TERMS; j++) error += theta[j] * cos(j * x);
    for (int j = 0; j < TERMS; j++) sum[j] += 2 * error * cos(j * x) / POINTS;
    loss += error * error / POINTS;
  }
  for (int j = 0; j < TERMS; j++) gradient[j] = (float)sum[j];
  return loss;
}

static int failed(const char *program) {
  fprintf(stderr, "%s: %s\n", program, wl_last_error());
  return EXIT_FAILURE;
}

int main(int argc, char **argv) {
  if (argc < 2) return fprintf(stderr, "usage: %s OPTIMIZER [STEPS]\n", argv[0]), EXIT_FAILURE;
  const int steps = argc > 2 ? atoi(argv[2]) : 100;
  float theta[TERMS] = {0}, gradient[TERMS];
  wl_optimizer *optimizer = NULL;

  if (wl_optimizer_load(argv[1], &optimizer) != WL_OK) return failed(argv[0]);
  if (wl_optimizer_start(optimizer, TERMS) != WL_OK) return failed(argv[0]);
  printf("%s of %lld meta-parameters, digest %s\n", wl_optimizer_rule(optimizer),
         (long long)wl_optimizer_meta_parameters(optimizer), wl_optimizer_digest(optimizer));
  for (int t = 0; t < steps; t++) {
    const double loss = loss_and_gradient(theta, gradient);
    if (t % 20 == 0) printf("step %4d  loss %.6f\n", t, loss);
    if (wl_optimizer_step(optimizer, TERMS, gradient, theta) != WL_OK) return failed(argv[0]);
  }
  printf("step %4d  loss %.6f\n", steps, loss_and_gradient(theta, gradient));
  wl_optimizer_destroy(&optimizer);
  return EXIT_SUCCESS;
}
