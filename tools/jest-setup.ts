// Nest's packages are ES modules that CommonJS packages (throttler) require: they have to be in the module registry first,
// otherwise Jest answers "Cannot require() ES Module in a cycle".
import 'reflect-metadata';
import { Logger } from '@nestjs/common';
import '@nestjs/core';
import fc from 'fast-check';

// Tests provoke what is logged as a warning; among it a failure would not be seen.
Logger.overrideLogger(['error', 'fatal']);

// A run can be had again: what properties are tried on changes with the seed alone.
fc.configureGlobal({ seed: Number(process.env['FAST_CHECK_SEED'] ?? 1) });
