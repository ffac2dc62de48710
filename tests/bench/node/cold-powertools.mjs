/** Loads Powertools, reads one secret and exits. */

import { getSecret } from '@aws-lambda-powertools/parameters/secrets';

if ((await getSecret('bench/0')) !== 'value') process.exitCode = 1;
