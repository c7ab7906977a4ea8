// Every text of the portal. `Messages` is its type; the other languages must have all of it.

export const en = {
  nav: {
    home: 'Home', daggers: 'Daggers', explore: 'Explore', topics: 'Topics', schemas: 'Schemas', deadLetters: 'Dead letters',
    settings: 'Settings', more: 'More', main: 'Main', skip: 'Skip to content', search: 'Search',
  },
  common: {
    cancel: 'Cancel', close: 'Close', copy: 'Copy', copied: 'Copied', retry: 'Try again', name: 'Name', group: 'Group',
    actions: 'Actions', loading: (what: string) => `Loading ${what}`, details: 'Show details', clear: 'Clear', previous: 'Previous', next: 'Next',
    pageOf: (from: number, to: number, total: string) => `${from}–${to} of ${total}`, optional: 'optional',
    pause: 'Pause', resume: 'Resume', paused: 'paused', live: 'live', more: 'More',
    stale: (age: string) => `No answer from the server. Shown is what it said ${age}.`, time: 'Time',
    times: (zone: string) => `Times in ${zone}`, rows: (n: string) => `${n} rows`, unsaved: 'Leave without keeping your changes?',
  },
  time: { now: 'now', ago: (d: string) => `${d} ago`, in: (d: string) => `in ${d}`, since: (d: string) => `for ${d}` },
  errors: {
    noAnswer: 'The server does not answer.', noAnswerHint: 'The page asks again by itself.',
    unexpected: (status: number) => `The server answered with status ${status} and no explanation.`,
    notFound: 'There is nothing at this address.', notFoundHint: 'It may have been deleted, or the link is mistyped.', toHome: 'Go home',
    pageFailed: 'This page could not be shown.', sessionEnded: 'The session has ended. Log in to go on.', noWebgl: 'This browser offers no WebGL 2, so there is no map. The table has the same numbers.',
  },
  states: {
    running: 'running', degraded: 'degraded', failing: 'failing', suspended: 'suspended', stopping: 'stopping', deploying: 'deploying', failed: 'failed', stopped: 'stopped',
  },
  keys: {
    title: 'Keys', palette: 'find and do anything', search: 'search this list', move: 'move down and up', open: 'open', mark: 'choose the row', make: 'new', help: 'these keys', go: 'go to', preview: 'preview the query', leave: 'leave the editor with Tab',
  },
  palette: {
    title: 'Find or do', placeholder: 'A dagger, topic, schema or action', empty: (text: string) => `Nothing found for “${text}”.`, action: 'action', page: 'page',
    theme: (name: string) => `Theme: ${name}`, density: (name: string) => `Rows: ${name}`, language: (name: string) => `Language: ${name}`,
    light: 'light', dark: 'dark', system: 'as the system', compact: 'compact', normal: 'normal',
  },
  daggers: {
    title: 'Daggers', make: 'New dagger', search: 'Name, topic, SQL', noneTitle: 'No daggers yet', none: 'A dagger is one SQL query that runs all the time over a stream. Its result is a chart, a map and a table.',
    first: 'Make your first dagger', noMatch: 'No dagger matches.', noMatchHint: 'Take a filter away to see more.', state: 'State', topics: 'Topics', cluster: 'Cluster', rate: 'Rate', lag: 'Lag', lastResult: 'Last result', by: 'Created by',
    stop: 'Stop', start: 'Start', edit: 'Edit', clone: 'Clone', remove: 'Delete', chosen: (n: number) => `${n} chosen`, chooseAll: 'Choose all on this page', choose: (name: string) => `Choose ${name}`,
    stopped: (name: string) => `${name} is stopped. It goes on where it was when started.`, started: (name: string) => `${name} runs.`, removed: (name: string) => `${name} is deleted.`,
    stoppedMany: (n: number) => `${n} daggers are stopped.`, startedMany: (n: number) => `${n} daggers run.`,
    removeTitle: (name: string) => `Delete ${name}?`, removeText: 'It stops at once. Its state and its place in the topics are gone; the records in the topics stay. What it wrote stays until its retention ends.',
    removeButton: 'Delete dagger', caption: 'Daggers, one a line', records: (n: string) => `${n} records behind`, rateTitle: (n: string) => `${n} records a second`,
    anyState: 'Any state', anyGroup: 'Any group', rateHistory: 'rate over the last minutes',
  },
  dagger: {
    result: 'Result', flow: 'Flow', errors: 'Errors', settings: 'Settings', yaml: 'YAML', revisions: 'Revisions', tabs: 'Parts of the dagger', ledger: 'Ledger', ledgerText: 'Where every record that came in went',
    consumed: 'consumed', delivered: 'delivered', filtered: 'filtered', late: 'late', deadLettered: 'dead-lettered', held: 'held', sums: 'adds up', differs: (n: string) => `${n} unaccounted for`,
    consumedTip: 'Every record that was read', deliveredTip: 'Went into a result that was written', filteredTip: 'WHERE let it not through', lateTip: 'Came after every window it belonged to had closed',
    deadTip: 'Could not be read; kept as a dead letter', heldTip: 'In a window that is still open',
    notWell: { failing: 'It failed and tries again by itself.', failed: 'It failed, and trying again would not help. Edit it or start it.', degraded: 'It runs, but not as it should.', suspended: 'It is stopped. Start it to go on where it was.', stopped: 'It has ended.' } as Record<string, string>,
    failures: (n: number) => `${n} failures`, lastError: 'Last error', watermark: 'Watermark', watermarkTip: 'Windows that end before this time are closed', checkpoint: 'Checkpoint', rows: 'Rows written', lagLabel: 'Lag', rateLabel: 'Rate',
    behind: (d: string) => `${d} behind`, chart: 'Chart', table: 'Table', map: 'Map', measure: 'Show', by: 'by', agg: 'as', range: 'over', noGroup: 'nothing', editQuery: 'Edit query', madeQuery: 'Back to the made query', runQuery: 'Run', openExplore: 'Open in Explore',
    aggs: { sum: 'sum', avg: 'average', max: 'maximum', min: 'minimum' } as Record<string, string>,
    any: 'any', noResult: 'No result yet', noResultText: (d: string) => `A result is written when a window closes. The first comes about ${d} after the start.`, noResultPlain: 'A result is written as soon as a row passes the query.',
    noSeries: 'This dagger writes to a topic, not to a series.', readTopic: (topic: string) => `See the records of ${topic}`, others: 'others', othersHidden: (n: number) => `${n} more not shown`, points: (n: string) => `${n} points`, zoomHint: 'Drag to zoom, double click to go back',
    noRows: 'Nothing in this time.', noRowsHint: 'Choose a longer time.', colour: 'Colour', height: 'Height', flat: 'flat', cells: (n: number) => `${n} cells`, slider: 'Time on the map', play: 'Play', pausePlay: 'Pause', newest: 'newest', cell: 'Cell',
    mapLabel: 'Map of the cells', mapKeys: 'Arrow keys move the map, plus and minus zoom',
    query: 'query', partitions: 'Partitions', table1: 'Table', topic: 'Topic', partition: 'Partition', offset: 'Next offset', lagCol: 'Lag', noErrors: 'No dead letters', noErrorsText: 'Records that this dagger cannot read are kept here, with the bytes and the reason.',
    cloneName: (name: string) => `${name}_copy`, sink: 'Result goes to', streams: 'Streams', schema: 'Schema', eventTime: 'Event time', group: 'Consumer group', delay: 'Waits for late records', idle: 'Idle after', interval: 'Watermark every', startFrom: 'Starts from', bad: 'Bad records', lateRecords: 'Late records', parallelism: 'Parallelism', checkpoints: 'Checkpoint every', labels: 'Labels', cluster: 'Cluster', created: 'Created', updated: 'Changed', generation: 'Generation',
    curl: 'curl', cli: 'CLI', yamlHint: 'The whole dagger. Save it to a file and `millrace apply -f` makes it anywhere.', rollback: 'Roll back to this', rollbackTitle: (n: number) => `Roll back to generation ${n}?`, rollbackText: 'The dagger is deployed anew with this query. It becomes the newest revision; nothing is lost from the list.', rolledBack: (n: number) => `Generation ${n} is deployed again.`, current: 'current', firstRevision: 'The first revision.',
    refused: (n: string) => `${n} rows refused by the sink`, deleted: 'This dagger is not there any more.', deletedHint: 'It may have been deleted meanwhile.', showing: (agg: string, measure: string) => `${agg} of ${measure}`, ranges: { '5m': '5 min', '15m': '15 min', '1h': '1 h', '6h': '6 h', '24h': '24 h', '7d': '7 d' } as Record<string, string>,
  },
  form: {
    newTitle: 'New dagger', editTitle: (name: string) => `Edit ${name}`, streams: 'Streams', query: 'Query', result: 'Result', more: 'More', name: 'Name', namePlace: 'demand_by_area', nameHelp: 'Letters, digits, _ - and . It names the measurement too.', nameBad: 'Begin with a letter or digit; use a-z, A-Z, 0-9, _ - and . only.', nameTaken: 'There is a dagger of this name. Deploying changes it.',
    schema: 'Schema', schemaPlace: 'Type to search, for example booking', viewAll: 'View all', topics: 'Topics', topicsNone: 'No topic carries this schema.', topicsFirst: 'Choose a schema, and its topics appear here.', table: 'Table', time: 'Event time', timeReason: { event_timestamp: 'the field of that name', first: 'the first field of a time', record: 'the schema has no field of a time' } as Record<string, string>, recordTime: 'time of the record',
    addStream: 'Add another stream', removeStream: 'Remove this stream', stream: (n: number) => `Stream ${n}`, fields: 'Fields', functions: 'Functions', findField: 'Field or function', templates: 'Templates', editorLabel: 'SQL query', insert: (name: string) => `Insert ${name}`,
    sinkSeries: 'Series', sinkSeriesText: 'chart, map, Explore', sinkTopic: 'Topic', sinkTopicText: 'records for others', sinkLog: 'Log', sinkLogText: 'lines of the server, for trying', measurement: 'Measurement', retention: 'Kept for', sinkTopicName: 'Topic', sinkTopicSchema: 'Message type', sinkTopicSchemaMade: 'made from the query', partitions: 'Partitions', keyColumns: 'Key columns',
    delay: 'Wait for late records', delayHelp: 'How long a window stays open for records that come late', interval: 'Watermark every', idle: 'A quiet partition is idle after', consumerGroup: 'Consumer group', startFrom: 'Start from', earliest: 'the first record there is', latest: 'now', fromTime: 'a time', parallelism: 'Parallelism', checkpoint: 'Checkpoint every', bad: 'A record that cannot be read', badDead: 'is kept as a dead letter', badSkip: 'is counted and skipped', badFail: 'stops the dagger', late: 'A record that is late', lateDrop: 'is counted', lateKeep: 'is kept as a dead letter',
    summary: 'Summary', sTable: 'table', sWindow: 'window', sChecks: 'checks', sColumns: 'columns', noWindow: 'none, row by row', checking: 'checking', ok: 'the query is right', notYet: 'nothing to check yet', errorsN: (n: number) => (n === 1 ? '1 error' : `${n} errors`), preview: 'Preview', deploy: 'Deploy', deployChange: 'Review and deploy', deploying: (d: string) => `Deploying, ${d}`,
    previewRunning: (d: string) => `The query runs over the records that are there, ${d}`, previewStop: 'Stop', previewNote: 'Runs over the last records of each partition. Nothing is written.', rows: 'Rows', chart: 'Chart', input: 'Input', plan: 'Plan', previewEmpty: 'The query ran and gave no rows.', previewEmptyHint: 'The ledger above says where the records went.', previewIdle: 'Preview shows here what the query would give.', truncated: (n: string) => `The first ${n} rows`, warnings: (n: number) => (n === 1 ? '1 record could not be read' : `${n} records could not be read`), inputNone: 'The topics have no records yet.',
    created: (name: string) => `${name} is deployed.`, needSchema: 'Choose a schema.', needTopic: 'Choose at least one topic.', needName: 'Give it a name.', reviewTitle: (name: string) => `Deploy the change of ${name}?`, reviewSql: 'SQL', reviewSettings: 'Settings', reviewSame: 'Nothing changed.', reviewState: 'The dagger restarts. What its open windows hold is kept when the windows and groups of the query stay the same; the server decides when it deploys.',
    sentence: (reads: string, window: string, writes: string) => `Reads ${reads}, ${window}, and writes ${writes}.`, sentenceWindow: (d: string) => `closes a result every ${d}`, sentenceNoWindow: 'gives a row for each record that passes', sentenceSeries: (m: string) => `the series ${m}`, sentenceTopic: (m: string) => `the topic ${m}`, sentenceLog: 'to the log', unnamed: 'without a name yet', draftKept: 'Draft from before', draftDiscard: 'Start afresh', perSecond: (n: string) => `${n} records`, tree: 'All schemas', pick: 'Use this schema', at: (line: number, column: number) => `line ${line}, column ${column}`,
    template: { count: 'Count each minute', hop: 'Moving window', session: 'Sessions', cells: 'Map of cells', filter: 'Filter only', join: 'Join in a window' } as Record<string, string>,
  },
  topics: {
    title: 'Topics', search: 'Name, schema, description', none: 'No topics yet', noneText: 'A topic is a stream of records. Services publish to it over HTTP; daggers read it.', make: 'New topic', noMatch: 'No topic matches.', schema: 'Schema', records: 'Records', size: 'Size', partitions: 'Partitions', rate: 'Rate', retention: 'Kept for', readBy: 'Read by', writtenBy: 'Written by', caption: 'Topics, one a line', noSchema: 'no schema', description: 'Description',
    browse: 'Records', produce: 'Produce', about: 'About', tabs: 'Parts of the topic', from: 'From', newest: 'the newest', earliest: 'the first', atTime: 'a time', atOffset: 'an offset', limit: 'Show', filter: 'Filter', filterPlace: 'driver_status = AVAILABLE', filterHelp: 'Text finds it anywhere. Or field = value, != < > and ~ for “contains”; several with “and”.', filterExamples: 'Examples', tail: 'Tail', stopTail: 'Stop', read: 'Read', scanning: (n: string, m: string) => `${n} read, ${m} shown`, waiting: 'Waits for records', offset: 'Offset', partition: 'Partition', key: 'Key', value: 'Value', tombstone: 'tombstone (no value)', notDecoded: 'Not decoded', headers: 'Headers', copyJson: 'Copy as JSON', saveRaw: 'Save the bytes', noRecords: 'No records', noRecordsText: 'Publish one with the form, or over HTTP.', noFound: 'No record matches the filter.', columns: 'Columns',
    produceText: 'One record, as JSON in the protobuf form of the schema.', produceKey: 'Key', produceHeaders: 'Headers', produceValue: 'Value', produceSend: 'Produce record', produced: (partition: number, offset: number) => `Partition ${partition}, offset ${offset}.`, produceExample: 'Fill in an example', produceNoSchema: 'The topic has no schema: give the bytes as base64.', toPartition: 'Partition', anyPartition: 'by key',
    removeTitle: (name: string) => `Delete the topic ${name}?`, removeText: (n: string) => `${n} records are deleted for ever.`, removeButton: 'Delete topic', removed: (name: string) => `${name} is deleted.`, created: (name: string) => `${name} is there.`, makeButton: 'Create topic', nobody: 'nobody', start: 'Start', end: 'End', gone: 'There is no such topic.', recordAt: (p: number, o: number) => `Partition ${p}, offset ${o}`, badFilter: (part: string) => `“${part}” is not understood.`,
  },
  schemas: {
    title: 'Schemas', search: 'Name, field, comment', none: 'No schemas yet', noneText: 'A schema says what the records of a topic look like. Upload .proto files or a descriptor set.', upload: 'Upload', noMatch: 'No schema matches.', fields: (n: number) => (n === 1 ? '1 field' : `${n} fields`), topics: 'Topics', daggers: 'Daggers', file: 'File', choose: 'Choose a schema to see its fields.', uploadTitle: 'Upload schemas', uploadText: 'All .proto files of a package together, or one descriptor set (protoc --descriptor_set_out --include_imports).', chooseFiles: 'Choose files', drop: 'or drop them here', uploadButton: 'Upload schemas', uploaded: (n: number) => `${n} message types are known now.`, path: 'Import path', deprecated: 'deprecated', repeated: 'repeated', oneof: (name: string) => `one of ${name}`, gone: 'There is no such schema.',
  },
  dead: {
    title: 'Dead letters', none: 'No dead letters', noneText: 'Every record could be read. One that cannot is kept here, with its bytes and the reason, and can be replayed.', dagger: 'Dagger', topic: 'Topic', kind: 'Kind', error: 'Error', anyDagger: 'Any dagger', anyTopic: 'Any topic', anyKind: 'Any kind', anyState: 'Any state',
    kinds: { undecodable: 'cannot be decoded', value_error: 'a value cannot be read', no_event_time: 'no event time', future_event_time: 'event time in the future', expression_failed: 'an expression failed', late: 'late' } as Record<string, string>,
    advice: { undecodable: 'The bytes are not of this schema, or were cut. Ask who produces them; replaying gives the same error until the schema changes.', value_error: 'A field holds what its type does not allow. Ask who produces it.', no_event_time: 'The record has no time, so no window can take it. Have the producer fill it, or choose another event time.', future_event_time: 'The clock of the sender is wrong. After it has passed, or with another event time, a replay works.', expression_failed: 'The query failed on this record. Edit the query, then replay.', late: 'It came after its windows had closed. Wait longer for late records, then replay.' } as Record<string, string>,
    states: { kept: 'kept', replayed: 'replayed' } as Record<string, string>,
    replay: 'Replay', replayOne: 'Replay record', replayMany: (n: string) => `Replay ${n} records`, replayTitle: 'Replay?', replayText: (n: string, dagger: string) => `${n} go once more through ${dagger}, as it is now. No other dagger reads them again. What fails again stays here.`, replayed: (n: string) => `${n} replayed.`, bytes: 'Bytes', decoded: 'What could be read', breaksAt: (n: number) => `breaks at byte ${n}`, where: 'Where', seen: 'First seen', eventTime: 'Event time', replays: 'Replays', atLeast: (n: string) => `at least ${n}`, backToList: 'All dead letters', gone: 'This dead letter is not there any more.', size: 'Size', copyHex: 'Copy as hex', loaded: (n: string) => `the last ${n} were looked at`,
  },
  explore: {
    title: 'Explore', run: 'Run', running: (d: string) => `Running, ${d}`, hint: 'One SELECT over the measurements. Ctrl Enter runs it.', chart: 'Chart', table: 'Table', measurements: 'Measurements', none: 'No measurements yet', noneText: 'A dagger with the series sink writes one. Make a dagger, and ask about its results here.', took: (rows: string, ms: string) => `${rows} rows in ${ms}`, csv: 'CSV', noChart: 'A chart needs a column of time and one of numbers.', more: (n: string) => `Shown are the first ${n}.`, empty: 'The query gave no rows.', y: 'Value', last: 'Asked before',
  },
  home: {
    title: 'Home', wrong: 'Needs attention', allWell: 'Everything runs.', mine: 'Daggers', newDead: (n: string) => `${n} dead letters`, first: 'Make your first dagger', firstText: 'Pick what you want to know about, write the SQL, see it move.', demo: 'The demo city is running', demoText: 'A made-up city sends bookings, drivers and requests. Five daggers already read them.', seeMap: 'See it on the map', streams: 'Streams', lagOf: (n: string) => `${n} records behind`, all: 'All daggers', allTopics: 'All topics', empty: 'Nothing here yet',
  },
  settings: {
    title: 'Settings', appearance: 'Appearance', theme: 'Theme', density: 'Rows', language: 'Language', groups: 'Groups', members: 'Members', tokens: 'Tokens', secrets: 'Secrets', clusters: 'Clusters', audit: 'Audit', none: 'Nothing here yet.', notThere: 'This server has no accounts: whoever reaches it may do everything. Groups, tokens, secrets and the audit log appear here with a server that has them.', add: (what: string) => `Add ${what}`, created: 'Created', removeTitle: (what: string) => `Delete ${what}?`, removeButton: 'Delete', removeText: 'Whoever uses it can no longer do so.', tokenOnce: 'Copy the token now. It is not shown again.', role: 'Role', expires: 'Expires', value: 'Value', user: 'User', scope: 'Scopes', when: 'When', who: 'Who', what: 'What', addMember: 'Add member', addGroup: 'Add group', addToken: 'Add token', addSecret: 'Add secret', added: (name: string) => `${name} is there.`, removed: (name: string) => `${name} is deleted.`, noGroupChosen: 'Choose a group to see who is in it.',
  },
  login: { name: 'Name', password: 'Password', button: 'Log in', with: (name: string) => `Log in with ${name}`, setup: 'This server has no account yet. Open the one-time link that it printed when it started.', logout: 'Log out', working: 'Logging in' },
}

export type Messages = typeof en
