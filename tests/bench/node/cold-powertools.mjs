/** A process from its start to its first secret. */

import { getSecret } from '@aws-lambda-powertools/parameters/secrets';

if ((await getSecret('bench/0')) !== 'value') process.exitCode = 1;
