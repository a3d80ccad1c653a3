/* Baseline of `obf bench aka`: AKA vectors by libosmocore, a new subscriber each time, in its own process.
 * cc -O2 osmocore_aka.c -losmogsm -losmocore; prints one JSON line: vectors, CPU seconds, a checksum of all XRES. */
#include <osmocom/crypt/auth.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int main(int argc, char **argv)
{
	uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000, sum = 0;
	struct osmo_sub_auth_data aud = { .type = OSMO_AUTH_TYPE_UMTS, .algo = OSMO_AUTH_ALG_MILENAGE };
	struct osmo_auth_vector vec;
	uint8_t rand[16] = { 0 };
	clock_t start = clock();
	for (uint64_t i = 0; i < count; i++) {
		memset(aud.u.umts.opc, 0x5a, 16);
		memcpy(aud.u.umts.opc, &i, 8);
		memcpy(aud.u.umts.k, &i, 8);
		memcpy(rand, &i, 8);
		aud.u.umts.ind_bitlen = 5;
		aud.u.umts.sqn = i << 5;
		if (osmo_auth_gen_vec(&vec, &aud, rand) < 0)
			return 1;
		sum += vec.res[0];
	}
	printf("{\"vectors\":%llu,\"cpu_s\":%.6f,\"sum\":%llu}\n", (unsigned long long)count,
	       (double)(clock() - start) / CLOCKS_PER_SEC, (unsigned long long)sum);
	return 0;
}
