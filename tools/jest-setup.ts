// Nest's packages are ES modules that CommonJS packages (throttler) require: they have to be in the module registry first,
// otherwise Jest answers "Cannot require() ES Module in a cycle".
import 'reflect-metadata';
import '@nestjs/common';
import '@nestjs/core';
