// Nest's packages are ES modules that CommonJS packages (throttler) require: they have to be in the module registry first,
// otherwise Jest answers "Cannot require() ES Module in a cycle".
import 'reflect-metadata';
import { Logger } from '@nestjs/common';
import '@nestjs/core';

// Tests provoke what is logged as a warning; among it a failure would not be seen.
Logger.overrideLogger(['error', 'fatal']);
