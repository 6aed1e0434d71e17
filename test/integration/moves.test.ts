import { POSTGRES_TESTS } from '../engines.js';
import { testMoves } from './moves.js';

await testMoves(POSTGRES_TESTS);
